// Small pictures in the rows of a table, which says the same in words.
import { COLOURS } from '../labels';

/** The colour of the i-th class; those after the last colour share one. */
export function series(i: number): string {
  return `series-${Math.min(i, COLOURS)}`;
}

/** Parts of a whole, each in its class's colour. */
export function Strip({ parts }: { parts: readonly number[] }) {
  const whole = parts.reduce((sum, part) => sum + part, 0);
  const before = (i: number) => parts.slice(0, i).reduce((sum, part) => sum + part, 0);
  return (
    <svg className="strip" viewBox={`0 0 ${Math.max(1, whole)} 10`} preserveAspectRatio="none" aria-hidden="true">
      {parts.map((part, i) => part > 0 && <rect key={i} className={series(i)} x={before(i)} y={0} width={part} height={10} />)}
    </svg>
  );
}

/** Where the values of a number lie between `low` and `high`: a line from 5 to 95 %, a box from 25 to 75 %, the median and the mean. */
export function BoxPlot({ quantiles, mean, low, high }: { quantiles: readonly number[]; mean: number; low: number; high: number }) {
  const x = (value: number) => (high > low ? 1 + (98 * (value - low)) / (high - low) : 50);
  const [q5 = mean, q25 = mean, q50 = mean, q75 = mean, q95 = mean] = quantiles;
  return (
    <svg className="strip box-plot" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <path className="box-line" d={`M${x(q5)} 5H${x(q95)}M${x(q5)} 2.5v5M${x(q95)} 2.5v5`} />
      <rect className="box-middle" x={x(q25)} y={1} width={Math.max(0, x(q75) - x(q25))} height={8} />
      <path className="box-median" d={`M${x(q50)} 1v8`} />
      <path className="box-mean" d={`M${x(mean)} 3.5v3`} />
    </svg>
  );
}

/** A line over rounds, as small as a word. */
export function Spark({ label, points }: { label: string; points: readonly (readonly [number, number])[] }) {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const scale = (values: number[], to: number) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value: number) => (high > low ? (to * (value - low)) / (high - low) : to / 2);
  };
  const [x, y] = [scale(xs, 100), scale(ys, 36)];
  return (
    <svg className="spark" viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label={label} data-points={points.length}>
      <path d={points.map(([round, loss], i) => `${i === 0 ? 'M' : 'L'}${x(round).toFixed(2)} ${(38 - y(loss)).toFixed(2)}`).join('')} />
    </svg>
  );
}
