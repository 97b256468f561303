import { describe, expect, it } from 'vitest';
import { ClientFigures } from '../../src/journal/clients';
import type { JournalRecord } from '../../src/journal/events';
import { completed, created, opened, update } from './journal';

const moments = (mean: number) => ({ n: '2', mean, m2: 0 });
const judged = (round: string, client: string, error: number) => ({
  type: 'answer_accepted', round, client,
  answer: { evaluated: { sums: { global: { absolute_error: moments(error), error: moments(error), truth: moments(0), prediction: moments(error) } } } },
});

function figures(events: readonly object[]): ClientFigures {
  const figures = new ClientFigures(1);
  for (const event of events) figures.take({ v: 1, at: '0', ...event } as JournalRecord);
  return figures;
}

const NAMES = ['anna', 'bora', 'carl', 'dora'];
const round = (id: string, losses: readonly number[]) => [opened(id, NAMES), ...losses.map((loss, i) => update(id, NAMES[i] ?? '', 10, loss)), completed(id, NAMES)];

const STORY = [
  created(1),
  ...round('1-train-1-1', [4, 3, 2, 1]),
  opened('1-evaluate-1-1', NAMES),
  judged('1-evaluate-1-1', 'anna', 5),
  judged('1-evaluate-1-1', 'bora', 7),
  completed('1-evaluate-1-1', ['anna', 'bora']),
  ...round('1-train-2-1', [3, 2, 1]),
];

describe("clients' figures", () => {
  it('are each their own, over the rounds in which they answered', () => {
    const all = figures(STORY);
    expect(all.curve('anna', 'train_loss', 2)).toEqual([[1, 4], [2, 3]]);
    expect(all.curve('dora', 'train_loss', 2)).toEqual([[1, 1]]);
    expect(all.curve('bora', 'mae', 2)).toEqual([[1, 7]]);
    expect(all.curve('nobody', 'mae', 2)).toEqual([]);
  });

  it('spread as R and NumPy have it', () => {
    const [first] = figures(STORY).spread('train_loss', 1);
    expect(first).toEqual({ round: 1, clients: 4, min: 1, p10: 1.3, median: 2.5, p90: 3.7, max: 4 });
  });

  it('have a best, a worst and one in the middle in the last round that is looked at', () => {
    const all = figures(STORY);
    expect(all.extremes('train_loss', 1)).toEqual({ best: 'dora', median: 'carl', worst: 'anna' });
    expect(all.extremes('train_loss', 2)).toEqual({ best: 'carl', median: 'bora', worst: 'anna' });
    expect(all.extremes('mae', 2)).toMatchObject({ best: 'anna', worst: 'bora' });
    expect(all.extremes('accuracy', 2)).toBeUndefined();
  });

  it('leave out rounds that came to nothing, other jobs and what comes too late', () => {
    const all = figures([
      created(1),
      opened('1-train-1-1', NAMES),
      update('1-train-1-1', 'anna', 1, 9),
      { type: 'round_abandoned', round: '1-train-1-1', reported: 1, quorum: 4 },
      update('1-train-1-1', 'anna', 1, 9),
      ...round('2-train-1-1', [8]),
      ...round('1-train-1-2', [4]),
    ]);
    expect(all.curve('anna', 'train_loss', 9)).toEqual([[1, 4]]);
    expect(all.clients).toBe(1);
  });

  it('count answers to older tasks in the open round where nobody is waited for', () => {
    const all = figures([opened('1-train-2-1', NAMES), update('1-train-1-1', 'anna', 1, 5), completed('1-train-2-1', ['anna'])]);
    expect(all.curve('anna', 'train_loss', 2)).toEqual([[2, 5]]);
  });

  it('are a table with a row for each client in each round, as far as one looks', () => {
    expect([...figures(STORY).table(1)].join('').split('\r\n')).toEqual([
      'round,client,weight,bytes_up,train_loss,mae,rmse', '1,anna,10,1000,4,5,5', '1,bora,10,1000,3,7,7', '1,carl,10,1000,2,,', '1,dora,10,1000,1,,', '',
    ]);
  });

  it('are found by a piece of the name', () => {
    expect(figures(STORY).find('r', 2)).toEqual(['bora', 'carl']);
  });

  it('of ten thousand clients are there in a moment', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `person-${i}`);
    const rounds = Array.from({ length: 10 }, (_, i) => `1-train-${i + 1}-1`);
    const events = rounds.flatMap((id) => [opened(id, names), ...names.map((name, i) => update(id, name, 1, i)), completed(id, names)]);
    const began = performance.now();
    const all = figures(events);
    const spread = all.spread('train_loss', 10);
    expect(performance.now() - began).toBeLessThan(3000);
    expect(spread).toHaveLength(10);
    expect(spread[9]).toMatchObject({ clients: 10_000, min: 0, median: 4999.5, max: 9999 });
    expect(all.extremes('train_loss', 10)).toEqual({ best: 'person-0', median: 'person-4999', worst: 'person-9999' });
  });
});
