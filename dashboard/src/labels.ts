// What of its data a client's site tells, read with care: a site may say anything.
import type { ClassesView, Labels } from './api/types';

type Facts = Record<string, unknown>;
/** How many rows a class has, or that they are too few to be counted aloud: `<5`. */
export type Counts = Record<string, number | string>;

/** How a client's labels are distributed, if its site tells that. */
export function labelsOf(facts: Facts): Labels | undefined {
  const told = facts['labels'];
  if (!isObject(told)) return undefined;
  const { classes, number } = told;
  if (isObject(classes) && Object.values(classes).every((rows) => typeof rows === 'string' || isCount(rows))) return { classes: classes as Counts };
  if (!isObject(number)) return undefined;
  const { rows, mean, quantiles } = number;
  const summary = isCount(rows) && Number.isFinite(mean) && Array.isArray(quantiles) && quantiles.length === 5 && quantiles.every(Number.isFinite);
  return summary ? { number: { rows, mean: mean as number, quantiles: quantiles as number[] } } : undefined;
}

function isObject(value: unknown): value is Facts {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** The rows of a class that were counted aloud. */
function counted(rows: number | string | undefined): number {
  return typeof rows === 'number' ? rows : 0;
}

/** All rows of a client that were counted aloud. */
export function countedIn(counts: Counts): number {
  return Object.values(counts).reduce<number>((sum, rows) => sum + counted(rows), 0);
}

/** The total variation distance of a client's classes from everybody's: from 0, the same, to 1, nothing in common. */
export function distance(counts: Counts, all: ClassesView): number | undefined {
  const own = countedIn(counts);
  const sum = all.classes.reduce((sum, { rows }) => sum + rows, 0);
  if (own === 0 || sum === 0) return undefined;
  const both = all.classes.reduce((both, { class: name, rows }) => both + Math.min(counted(counts[name]) / own, rows / sum), 0);
  return Math.max(0, 1 - both);
}

/** How many classes have a colour of their own. */
export const COLOURS = 10;

/** A client's rows in the order of everybody's classes: those with a colour one by one, then all others together. */
export function segments(counts: Counts, order: readonly string[]): number[] {
  const first = order.slice(0, COLOURS).map((name) => counted(counts[name]));
  return [...first, countedIn(counts) - first.reduce((sum, rows) => sum + rows, 0)];
}

/** The classes with most rows, how many more have some, and how many have too few to be counted. */
export function largest(counts: Counts, most: number): { first: [string, number][]; more: number; few: number } {
  const all = Object.entries(counts).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > 0);
  all.sort(([, a], [, b]) => b - a);
  const few = Object.values(counts).filter((rows) => typeof rows === 'string').length;
  return { first: all.slice(0, most), more: Math.max(0, all.length - most), few };
}
