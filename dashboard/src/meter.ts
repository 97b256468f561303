// What the server says of itself, again and again, and what follows from that: rates, from what it counts.
import { get } from './api/client';
import type { SystemView } from './api/types';

export interface Sample {
  /** When it was read, in milliseconds of the browser's clock. */
  at: number;
  view: SystemView;
}

/** A value at a time, or that there is none. */
export interface Point {
  at: number;
  value: number | undefined;
}

type Figure = (view: SystemView) => number | null | undefined;

/** How long samples are kept, in milliseconds. */
export const SPAN_MS = 300_000;
/** Between two samples further apart nobody looked: what was in between is not known. */
const GAP_MS = 5000;

let kept: readonly Sample[] = [];

/** Reads the server's figures and returns them with those before, for as long as this page is open. */
export async function read(path: string, signal: AbortSignal): Promise<readonly Sample[]> {
  const view = await get<SystemView>(path, signal);
  kept = add(kept, { at: performance.now(), view });
  return kept;
}

/** The samples with one more, without those that are too old. */
export function add(samples: readonly Sample[], sample: Sample): Sample[] {
  return [...samples.filter(({ at }) => sample.at - at <= SPAN_MS), sample];
}

/** A figure as it is at each sample. Where nobody looked there is a hole. */
export function gauge(samples: readonly Sample[], of: Figure): Point[] {
  return samples.flatMap((sample, i) => {
    const before = samples[i - 1];
    const point = { at: sample.at, value: of(sample.view) ?? undefined };
    return before !== undefined && !follows(before, sample) ? [{ at: sample.at, value: undefined }, point] : [point];
  });
}

/** How fast a counter grows, for each second of the server's clock. */
export function rate(samples: readonly Sample[], of: Figure): Point[] {
  return ratio(samples, of, (view) => view.uptime_s);
}

/** How much one counter grows for each step of another, from one sample to the next; nothing where that stands still. */
export function ratio(samples: readonly Sample[], of: Figure, per: Figure): Point[] {
  return samples.slice(1).map((sample, i) => {
    const before = samples[i];
    const [above, below] = [of, per].map((figure) => growth(before, sample, figure));
    return { at: sample.at, value: above === undefined || below === undefined || below === 0 ? undefined : above / below };
  });
}

/** How much a counter has grown. It begins again when the server is started again: then nobody knows. */
function growth(before: Sample | undefined, after: Sample, of: Figure): number | undefined {
  if (before === undefined || !follows(before, after)) return undefined;
  const [first, last] = [of(before.view), of(after.view)];
  return first == null || last == null || last < first ? undefined : last - first;
}

/** Whether two samples are of one process, and nothing was missed in between. */
function follows(before: Sample, after: Sample): boolean {
  return after.at - before.at <= GAP_MS && after.view.uptime_s >= before.view.uptime_s;
}

/** The last value, if the last point has one. */
export function current(points: readonly Point[]): number | undefined {
  return points.at(-1)?.value;
}

/** The top of an axis that has all values from 0 on: 1, 2 or 5 with zeros, and no less than `least`. */
export function top(points: readonly Point[], least: number): number {
  const most = Math.max(least, ...points.map(({ value }) => value ?? 0));
  const power = 10 ** Math.floor(Math.log10(most));
  const step = [1, 2, 5, 10].find((step) => step * power >= most) ?? 10;
  return step * power;
}
