import { describe, expect, it } from 'vitest';
import { largerIsBetter, metrics, type Sums } from '../../src/journal/statistics';
import vector from './statistics.json';

// What clients answered on test rows in two journals, and the figures of the same rows in `result.json`. Of two clients, the least
// and the largest are each one's own. The counts of classes are written by the elements that are not zero.
//   dure data generate fitbit --people 2 --out people
//   dure simulate fitbit --data people rounds=1 refit=false --out regression
//   dure simulate news --smoke rounds=1 refit=false generator.patients.patients=2 site.partition.largest=2 --out classification
interface Written {
  sums: Record<string, unknown>;
  over_clients: Record<string, { min: number; max: number }>;
}

interface Sparse {
  length: number;
  at: [number, number][];
}

function whole(sums: unknown): Sums {
  const { counts, ...moments } = sums as { counts?: Record<string, Sparse> };
  const dense = ({ length, at }: Sparse) => at.reduce<number[]>((all, [i, count]) => all.with(i, count), Array.from({ length }, () => 0));
  const counted = Object.entries(counts ?? {}).map(([name, counts]) => [name, dense(counts)]);
  return { ...moments, ...(counts === undefined ? {} : { counts: Object.fromEntries(counted) as Record<string, number[]> }) };
}

describe("a client's own figures", () => {
  it.each(Object.entries(vector as Record<string, Written>))('are those that the program wrote, to the last bit: %s', (_, { sums, over_clients: spreads }) => {
    const figures = Object.values(sums).map((sums) => metrics(whole(sums)));
    expect(Object.keys(figures[0] ?? {}).sort()).toEqual(Object.keys(spreads));
    for (const [name, { min, max }] of Object.entries(spreads)) {
      const own = figures.map((figures) => figures[name] ?? Number.NaN).sort((a, b) => a - b);
      expect(own, name).toEqual([min, max]);
    }
  });

  it('are absent where rows do not define them', () => {
    const moments = (n: number, mean: number, m2: number) => ({ n: String(n), mean, m2 });
    const one = { absolute_error: moments(1, 1, 0), error: moments(1, 1, 0), truth: moments(1, 1, 0), prediction: moments(1, 2, 0) };
    expect(Object.keys(metrics(one))).toEqual(['mae', 'rmse']);
    expect(metrics({})).toEqual({});
    expect(metrics({ counts: { confusion: [1, 2, 3], scores: [1] } })).toEqual({});
  });

  it('are better large, but for errors and losses', () => {
    expect(['mae', 'rmse', 'log_loss', 'train_loss', 'r2', 'pearson_r', 'accuracy', 'auroc'].map(largerIsBetter)).toEqual([false, false, false, false, true, true, true, true]);
  });
});
