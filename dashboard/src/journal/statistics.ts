// The figures that come of a client's sums, to the last bit as `crates/core/src/statistics` computes them.
import type { Metrics } from '../api/types';

/** Count, mean and sum of squared deviations of a column. */
export interface Moments {
  n: string;
  mean: number;
  m2: number;
}

/** Moments of columns; of a classification, counts of classes beside them. */
export type Sums = { counts?: Record<string, readonly number[]> } & Record<string, Moments | Record<string, readonly number[]> | undefined>;

/** Bins of the log-odds that a class was given. */
const BINS = 256;

/** Whether more of a figure is better: errors and losses are best small, everything else large. */
export function largerIsBetter(figure: string): boolean {
  return !['mae', 'rmse', 'log_loss', 'train_loss'].includes(figure);
}

/** The better of two values of a figure comes first. */
export function byMerit(figure: string): (a: number, b: number) => number {
  return largerIsBetter(figure) ? (a, b) => b - a : (a, b) => a - b;
}

/** The figures that sums come to; one that the rows do not define is absent. */
export function metrics(sums: Sums): Metrics {
  return Object.keys(sums.counts ?? {}).length === 0 ? ofNumbers(sums) : ofClasses(sums, sums.counts ?? {});
}

function column(sums: Sums, name: string): { n: number; mean: number; m2: number } {
  const moments = sums[name] as Moments | undefined;
  return { n: Number(moments?.n ?? 0), mean: moments?.mean ?? 0, m2: moments?.m2 ?? 0 };
}

function defined(figures: Record<string, number | undefined>): Metrics {
  return Object.fromEntries(Object.entries(figures).filter((figure): figure is [string, number] => Number.isFinite(figure[1])));
}

function ofNumbers(sums: Sums): Metrics {
  const [error, truth, prediction] = [column(sums, 'error'), column(sums, 'truth'), column(sums, 'prediction')];
  if (error.n === 0) return {};
  const squares = error.m2 + error.n * error.mean * error.mean;
  // Var(p − t) = Var(p) + Var(t) − 2 Cov(p, t), so the covariance needs no column of its own.
  const covariance = (prediction.m2 + truth.m2 - error.m2) / 2;
  const spread = Math.sqrt(prediction.m2) * Math.sqrt(truth.m2);
  return defined({
    mae: column(sums, 'absolute_error').mean,
    rmse: Math.sqrt(squares / error.n),
    r2: truth.m2 > 0 ? 1 - squares / truth.m2 : undefined,
    pearson_r: spread > 0 ? Math.min(1, Math.max(-1, covariance / spread)) : undefined,
  });
}

function ofClasses(sums: Sums, counts: Record<string, readonly number[]>): Metrics {
  const confusion = counts['confusion'] ?? [];
  const classes = Math.floor(Math.sqrt(confusion.length));
  const loss = column(sums, 'log_loss');
  const logLoss = loss.n > 0 ? loss.mean : undefined;
  if (classes === 0 || classes * classes !== confusion.length) return defined({ log_loss: logLoss });
  const every = Array.from({ length: classes }, (_, i) => i);
  const at = (truth: number, said: number) => confusion[truth * classes + said] ?? 0;
  const support = (own: number) => total(every.map((said) => at(own, said)));
  const predicted = (own: number) => total(every.map((truth) => at(truth, own)));
  const scores = counts['scores']?.length === classes * 2 * BINS ? counts['scores'] : undefined;
  return defined({
    accuracy: share(total(every.map((own) => at(own, own))), total(confusion)),
    balanced_accuracy: mean(every.map((own) => share(at(own, own), support(own)))),
    macro_f1: mean(every.map((own) => share(2 * at(own, own), support(own) + predicted(own)))),
    auroc: scores && mean(every.map((own) => area(scores.slice(own * 2 * BINS, (own + 1) * 2 * BINS)))),
    log_loss: logLoss,
  });
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function share(part: number, whole: number): number | undefined {
  return whole > 0 ? part / whole : undefined;
}

/** Of the values that are defined; none if none is. */
function mean(values: readonly (number | undefined)[]): number | undefined {
  const there = values.filter((value) => value !== undefined);
  return there.length > 0 ? total(there) / there.length : undefined;
}

/**
 * The area under the ROC curve, from the bins of a class's own rows followed by those of all others; scores of one bin count as half
 * (Mann and Whitney 1947). Whole numbers are exact here up to 2^53, more pairs than any one client has.
 */
function area(bins: readonly number[]): number | undefined {
  let [below, twiceWon] = [0, 0];
  for (let bin = 0; bin < BINS; bin += 1) {
    const others = bins[BINS + bin] ?? 0;
    twiceWon += (bins[bin] ?? 0) * (2 * below + others);
    below += others;
  }
  const pairs = total(bins.slice(0, BINS)) * below;
  return pairs > 0 ? twiceWon / (2 * pairs) : undefined;
}
