import { describe, expect, it } from 'vitest';
import { EMPTY, fold, KEPT_ROUNDS } from '../../src/journal/fold';
import { completed, created, entries, opened, published, ROUND, update } from './journal';

const story = (events: readonly object[]) => fold(EMPTY, entries(events));

describe('a story', () => {
  it('has a round with its answers, its bytes and its weighted loss', () => {
    const [round] = story(ROUND).jobs.get(1)?.rounds ?? [];
    expect(round).toMatchObject({ kind: 'train', ordinal: 1, attempt: 1, outcome: 'complete', reported: 2, asked: 2, bytes: 2000, loss: 1.5 });
    expect(round?.answers.get('bora')).toMatchObject({ weight: 10, loss: 3, bytes: 1000 });
  });

  it('has a point of the curve for each version, with its figures on validation rows', () => {
    expect(story(ROUND).jobs.get(1)?.points).toEqual([
      { round: 1, id: '1-train-1-1', version: 2, loss: 1.5, bytes: 2000, asked: 2, reported: 2, took: 400, at: 900, received: 2000, metrics: { mae: 12.5 } },
    ]);
  });

  it('is the same in whichever pieces the journal comes, and however often', () => {
    const all = entries(ROUND);
    const whole = fold(EMPTY, all);
    for (let cut = 0; cut <= all.length; cut += 1) {
      const first = fold(EMPTY, all.slice(0, cut));
      expect(fold(first, all.slice(Math.max(0, cut - 3)))).toEqual(whole);
      expect(fold(first, all.slice(0, cut))).toBe(first);
    }
  });

  it('changes nothing of the story before it', () => {
    const all = entries(ROUND);
    const before = fold(EMPTY, all.slice(0, 7));
    const copy = structuredClone(before);
    fold(before, all.slice(7));
    expect(before).toEqual(copy);
  });

  it('tells who declined and who is gone', () => {
    const told = story([
      created(1),
      opened('1-train-1-1', ['anna', 'bora', 'carl']),
      { type: 'task_declined', round: '1-train-1-1', client: 'anna', reason: 'no rows' },
      { type: 'client_lost', client: 'bora', epoch: 1 },
      { type: 'client_left', client: 'dora', reason: '' },
      { type: 'round_abandoned', round: '1-train-1-1', reported: 0, quorum: 3 },
    ]);
    const round = told.jobs.get(1)?.rounds[0];
    expect(round?.outcome).toBe('abandoned');
    expect([...(round?.declined ?? [])]).toEqual([['anna', 'no rows']]);
    expect([...(round?.gone ?? [])]).toEqual([['bora', 'lost']]);
    expect(told.complaints).toMatchObject([{ client: 'anna', round: '1-train-1-1', reason: 'no rows' }]);
  });

  it('follows a job through its states', () => {
    const states = [
      [{ type: 'job_started', job: 1 }, 'running'],
      [{ type: 'job_paused', job: 1 }, 'paused'],
      [{ type: 'job_stepped', job: 1 }, 'paused'],
      [{ type: 'job_resumed', job: 1, rounds: 2 }, 'running'],
      [{ type: 'training_ended', job: 1, reason: 'stopped' }, 'running'],
      [{ type: 'job_ended', job: 1, outcome: 'gave_up' }, 'gave_up'],
    ] as const;
    states.forEach(([, status], i) => {
      const events = [created(1), ...states.slice(0, i + 1).map(([event]) => event)];
      expect(story(events).jobs.get(1)?.status).toBe(status);
    });
  });

  it('counts answers to older tasks in the open round where nobody is waited for', () => {
    const told = story([
      created(1),
      opened('1-train-1-1', ['anna', 'bora']),
      update('1-train-1-1', 'anna', 1, 1),
      completed('1-train-1-1', ['anna']),
      published(2, 1, 1),
      opened('1-train-2-1', ['anna', 'bora']),
      update('1-train-1-1', 'bora', 1, 5),
      { type: 'task_reassigned', round: '1-train-2-1', client: 'carl' },
      update('1-train-2-1', 'bora', 1, 7),
    ]);
    expect(told.jobs.get(1)?.rounds[1]).toMatchObject({ reported: 1, loss: 7, bytes: 2000, cohort: ['anna', 'bora', 'carl'], asked: 3 });
  });

  it('keeps names and answers of the newest rounds alone, and the counts of all', () => {
    const rounds = Array.from({ length: KEPT_ROUNDS + 5 }, (_, i) => `1-train-${i + 1}-1`);
    const told = story([created(1), ...rounds.flatMap((id) => [opened(id, ['anna']), update(id, 'anna', 1, 1), completed(id, ['anna'])])]);
    const kept = told.jobs.get(1)?.rounds ?? [];
    expect(kept.filter((round) => round.folded)).toHaveLength(5);
    expect(kept[0]).toMatchObject({ folded: true, cohort: [], asked: 1, reported: 1, loss: 1, bytes: 1000 });
    expect(kept.at(-1)).toMatchObject({ folded: false, cohort: ['anna'] });
  });

  it('takes ten thousand clients in a moment', () => {
    const clients = Array.from({ length: 10_000 }, (_, i) => `person-${i}`);
    const joined = clients.map((client) => ({ type: 'client_joined', client, epoch: 1 }));
    const answers = clients.map((client) => update('1-train-1-1', client, 1, 1));
    const lost = clients.map((client) => ({ type: 'client_lost', client, epoch: 1 }));
    const all = entries([...joined, created(1), opened('1-train-1-1', clients), ...answers.slice(0, 5000), ...lost]);
    const began = performance.now();
    const told = fold(EMPTY, all);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(told.jobs.get(1)?.rounds[0]?.gone.size).toBe(5000);
  });
});
