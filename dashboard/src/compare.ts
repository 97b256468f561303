// Jobs beside each other, of one federation or of several.
import { shortest } from './format';
import { LOSS, figures, value } from './chart/curve';
import type { Spot } from './chart/series';
import type { Metrics } from './api/types';
import type { Job, Point } from './journal/fold';
import { byMerit } from './journal/statistics';

/** Which job of which federation. */
export interface JobName {
  federation: string;
  job: number;
}

/** What of a job is compared. */
export type Outline = Omit<Job, 'rounds'>;

export interface Compared extends JobName {
  /** `federation:job`. */
  id: string;
  outline: Outline;
  /** What came of it on test rows: of its own last model or, if it only chose the number of rounds, of its refit's. */
  tested: Outline['tested'];
}

/** Along what jobs are drawn: rounds, federation time since their start, or bytes that they have received. */
export const ALONG = ['round', 'time', 'bytes'] as const;
export type Along = (typeof ALONG)[number];

export function outlineOf({ job, plan, seed, refitOf, began, status, reason, trained, points, bytes, tested }: Job): Outline {
  return { job, plan, seed, refitOf, began, status, reason, trained, points, bytes, tested };
}

/** The jobs that are asked for, as far as they are there. */
export function compared(names: readonly JobName[], jobsOf: (federation: string) => readonly Outline[]): Compared[] {
  return names.flatMap(({ federation, job }) => {
    const jobs = jobsOf(federation);
    const outline = jobs.find((other) => other.job === job);
    if (outline === undefined) return [];
    const refit = jobs.find((other) => other.refitOf === job);
    const tested = Object.keys(outline.tested).length > 0 ? outline.tested : (refit?.tested ?? {});
    return [{ federation, job, id: `${federation}:${job}`, outline, tested }];
  });
}

/** Names of jobs as an address has them: `a:1,b:2`. What is none is left out, and so is what was named before. */
export function parseNames(text: string): JobName[] {
  const names = new Map<string, JobName>();
  for (const name of text.split(',')) {
    const [, federation, job] = /^([^:]+):(\d{1,9})$/.exec(name) ?? [];
    if (federation !== undefined) names.set(name, { federation, job: Number(job) });
  }
  return [...names.values()];
}

/** Where jobs are compared: within their federation, or beside all. */
export function compareAddress(names: readonly JobName[]): string {
  const federations = new Set(names.map(({ federation }) => federation));
  const [only] = federations;
  if (only !== undefined && federations.size === 1) return `/federations/${encodeURIComponent(only)}/compare?jobs=${names.map(({ job }) => job).join(',')}`;
  return `/compare?of=${names.map(({ federation, job }) => `${encodeURIComponent(federation)}:${job}`).join(',')}`;
}

/** Where a point lies along the rounds, the time in milliseconds, or the bytes. */
export function place({ began }: Outline, point: Point, along: Along): number {
  if (along === 'round') return point.round;
  return along === 'bytes' ? point.received : point.at - (began ?? 0);
}

export function spots(outline: Outline, figure: string, along: Along): Spot[] {
  return outline.points.flatMap((point): Spot[] => {
    const at = value(point, figure);
    return at === undefined ? [] : [[place(outline, point, along), at]];
  });
}

/** The best value of a figure, and the round that had it first. */
export function best({ points }: Outline, figure: string): { round: number; value: number } | undefined {
  const compare = byMerit(figure);
  const values = points.flatMap((point) => {
    const at = value(point, figure);
    return at === undefined ? [] : [{ round: point.round, value: at }];
  });
  return values.sort((a, b) => compare(a.value, b.value) || a.round - b.round)[0];
}

/** How long a job has trained, in milliseconds of federation time. */
export function took(outline: Outline): number {
  const end = outline.points.at(-1);
  return end === undefined ? 0 : place(outline, end, 'time');
}

/** The figures that any of the jobs has, the training loss first. */
export function figuresOf(jobs: readonly Compared[]): string[] {
  const names = new Set(jobs.flatMap(({ outline }) => figures(outline.points)));
  return [LOSS, ...[...names].filter((name) => name !== LOSS).sort()];
}

/** A row for each round of each job. */
export function table(jobs: readonly Compared[]): (string | number | undefined)[][] {
  const names = figuresOf(jobs);
  const rows = jobs.flatMap(({ federation, outline }) =>
    outline.points.map((point) => [
      federation, outline.job, outline.plan.name, point.round, place(outline, point, 'time') / 1000, point.received, ...names.map((name) => value(point, name)),
    ]),
  );
  return [['federation', 'job', 'recipe', 'round', 'seconds', 'bytes_up', ...names], ...rows];
}

/** What is not the same in all of several things, key by key; `undefined` where a thing does not have the key. */
export function differences(things: readonly unknown[]): { key: string; values: (string | undefined)[] }[] {
  const flat = things.map((thing) => new Map(leaves('', thing)));
  const keys = new Set(flat.flatMap((leaves) => [...leaves.keys()]));
  const rows = [...keys].map((key) => ({ key, values: flat.map((leaves) => leaves.get(key)) }));
  return rows.filter(({ values }) => values.some((value) => value !== values[0]));
}

/** Every value that has no parts, by the path to it. A list of such values is one. */
function leaves(path: string, thing: unknown): [string, string][] {
  const parts = typeof thing === 'object' && thing !== null ? Object.entries(thing) : [];
  const whole = parts.length === 0 || (Array.isArray(thing) && thing.every((part) => typeof part !== 'object' || part === null));
  if (whole) return [[path, typeof thing === 'string' ? thing : JSON.stringify(thing, shortest)]];
  return parts.flatMap(([key, part]) => leaves(path === '' ? key : `${path}.${key}`, part));
}

/** A plan, and the seed that is as much a part of what is done. */
export function setting({ plan, seed }: Pick<Outline, 'plan' | 'seed'>): unknown {
  return { seed, ...plan };
}

/** By how much the second of two figures is more, and whether that is better. */
export function change(figure: string, a: number | undefined, b: number | undefined): { by: number; better: 'first' | 'second' | 'neither' } | undefined {
  if (a === undefined || b === undefined) return undefined;
  const order = byMerit(figure)(a, b);
  return { by: b - a, better: order === 0 ? 'neither' : order < 0 ? 'first' : 'second' };
}

/** The names of all figures of several sets. */
export function namesOf(metrics: readonly Metrics[]): string[] {
  return [...new Set(metrics.flatMap(Object.keys))].sort();
}
