import { describe, expect, it } from 'vitest';
import { storyOf } from '../../src/client-story';
import { COLOURS, distance, labelsOf, largest, segments } from '../../src/labels';
import { created, entries, opened, update } from './journal';

const all = (rows: number[]) => ({ distance: 0, classes: rows.map((rows, i) => ({ class: `c${i}`, rows, clients: 1, few: 0 })) });

describe('labels that a site tells', () => {
  it('are read with care', () => {
    const number = { rows: 30, mean: 2, quantiles: [0, 1, 2, 3, 4] };
    expect(labelsOf({ labels: { classes: { a: 7, b: '<5' } } })).toEqual({ classes: { a: 7, b: '<5' } });
    expect(labelsOf({ labels: { number } })).toEqual({ number });
    for (const bad of [undefined, 3, [], {}, { classes: { a: -1 } }, { classes: { a: {} } }, { number: { ...number, quantiles: [1] } }, { number: { ...number, mean: '2' } }]) {
      expect(labelsOf({ labels: bad }), JSON.stringify(bad)).toBeUndefined();
    }
  });

  it('are as far from all as what lies outside of them', () => {
    expect(distance({ c0: 10, c1: 10 }, all([50, 50]))).toBeCloseTo(0);
    expect(distance({ c0: 10, c1: '<5' }, all([25, 75]))).toBeCloseTo(0.75);
    expect(distance({ c0: '<5' }, all([25, 75]))).toBeUndefined();
  });

  it('have a colour for the largest classes and one for all others', () => {
    const counts = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`c${i}`, i]));
    const order = Array.from({ length: 30 }, (_, i) => `c${29 - i}`);
    const parts = segments(counts, order);
    expect(parts).toHaveLength(COLOURS + 1);
    expect(parts[0]).toBe(29);
    expect(parts.at(-1)).toBe((19 * 20) / 2);
  });

  it('are named from the largest on', () => {
    expect(largest({ a: 5, b: 90, c: '<5', d: 20 }, 2)).toEqual({ first: [['b', 90], ['d', 20]], more: 1, few: 1 });
  });
});

describe('what a client did', () => {
  it('is its loss in the newest job, and all that it complained of', () => {
    const journal = entries([
      created(1),
      opened('1-train-1-1', ['anna', 'bora']),
      update('1-train-1-1', 'anna', 1, 9),
      created(2),
      opened('2-train-1-1', ['anna', 'bora']),
      update('2-train-1-1', 'anna', 1, 3),
      update('2-train-1-1', 'bora', 1, 7),
      update('2-train-2-1', 'anna', 1, 2),
      { type: 'task_declined', round: '2-train-3-1', client: 'anna', reason: 'too tired' },
      { type: 'readiness_changed', client: 'anna', ready: true, reason: '' },
    ]);
    const older = { sequence: 0, at: 0, client: 'anna', round: undefined, reason: 'asleep' };
    const story = storyOf('anna', journal, [older, { ...older, client: 'bora' }]);
    expect(story).toMatchObject({ job: 2, losses: [[1, 3], [2, 2]] });
    expect(story.complaints.map(({ reason }) => reason)).toEqual(['too tired', 'asleep']);
  });
});
