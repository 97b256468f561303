// A job's curves as data: what is drawn, and what is saved as a table.
import type { Point } from '../journal/fold';

/** The name of the training loss among the figures. */
export const LOSS = 'train_loss';

/** The figures that a job's rounds have, the training loss first. */
export function figures(points: readonly Point[]): string[] {
  const names = new Set(points.flatMap((point) => Object.keys(point.metrics)));
  return [LOSS, ...[...names].sort()];
}

/** A figure of a round. */
export function value(point: Point, figure: string): number | undefined {
  return figure === LOSS ? point.loss : point.metrics[figure];
}

/** One figure over the rounds; rounds that do not have it are left out. */
export function curve(points: readonly Point[], figure: string): [round: number, value: number][] {
  return points.flatMap((point) => {
    const at = value(point, figure);
    return at === undefined ? [] : [[point.round, at] as [number, number]];
  });
}

/** A row for each round. */
export function table(points: readonly Point[]): (string | number | undefined)[][] {
  const names = figures(points);
  const head = ['round', 'version', 'asked', 'answers', 'bytes_up', 'seconds', ...names];
  const row = (point: Point) => [
    point.round, point.version, point.asked, point.reported, point.bytes, point.took / 1000, ...names.map((name) => value(point, name)),
  ];
  return [head, ...points.map(row)];
}
