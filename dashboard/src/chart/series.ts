// What a chart draws: named lines, levels and bands, each with a colour, a dash and a mark of its own.

/** A value at a place. */
export type Spot = readonly [x: number, y: number];

export type Series = {
  /** Which it is, whatever it is called. */
  id: string;
  name: string;
  look: Look;
} & (
  | { points: readonly Spot[] }
  /** A value that belongs to no place: a line from one side to the other. */
  | { level: number }
  /** From the lower to the upper value at each place. */
  | { band: readonly (readonly [x: number, low: number, high: number])[] }
);

/** How a series is told from the others, also without its colour. */
export interface Look {
  /** One of the style sheet's. */
  colour: '--accent' | '--text' | '--muted' | `--line-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`;
  /** Lengths of dashes and gaps; none for a line without gaps. */
  dash: readonly number[];
  mark: 'circle' | 'rect' | 'triangle' | 'diamond' | 'none';
  /** 0 for marks without a line. */
  width: number;
}

/** What everything else is held against. */
export const MAIN: Look = { colour: '--accent', dash: [], mark: 'circle', width: 2.5 };

/** Lines that are equal among each other. */
export const OTHERS: readonly Look[] = [
  { colour: '--line-1', dash: [], mark: 'rect', width: 1.75 },
  { colour: '--line-2', dash: [7, 3], mark: 'triangle', width: 1.75 },
  { colour: '--line-3', dash: [2, 3], mark: 'diamond', width: 1.75 },
  { colour: '--line-4', dash: [9, 3, 2, 3], mark: 'circle', width: 1.75 },
  { colour: '--line-5', dash: [], mark: 'triangle', width: 1.75 },
  { colour: '--line-6', dash: [7, 3], mark: 'diamond', width: 1.75 },
  { colour: '--line-7', dash: [2, 3], mark: 'rect', width: 1.75 },
  { colour: '--line-8', dash: [9, 3, 2, 3], mark: 'triangle', width: 1.75 },
];

/** Lines that a chart can draw beside each other and still be read. */
export const MOST = OTHERS.length;

/** The look of the i-th of several lines; they repeat after as many as can be told apart. */
export function otherLook(i: number): Look {
  return OTHERS[i % MOST] ?? MAIN;
}

export const MEDIAN: Look = { colour: '--muted', dash: [4, 3], mark: 'none', width: 1.75 };
export const SPREAD: Look = { colour: '--muted', dash: [], mark: 'none', width: 0 };
/** Of what was learned otherwise: with all rows in one place, and by everybody alone. */
export const BASELINES = {
  central: { colour: '--text', dash: [10, 5], mark: 'none', width: 1.5 },
  local: { colour: '--text', dash: [3, 4], mark: 'none', width: 1.5 },
} as const satisfies Record<string, Look>;

/** The last value of a series; of a band, of its lower and its upper side. */
export function last(series: Series): number[] {
  if ('level' in series) return [series.level];
  if ('points' in series) return series.points.slice(-1).map(([, y]) => y);
  return series.band.slice(-1).flatMap(([, low, high]) => [low, high]);
}

/** From the first place to the last that any of them has a value at. */
export function reach(series: readonly Series[]): [number, number] | undefined {
  const places = series.flatMap((series) => {
    const spots: readonly (readonly number[])[] = 'points' in series ? series.points : 'band' in series ? series.band : [];
    return [spots[0]?.[0], spots.at(-1)?.[0]].filter((x) => x !== undefined);
  });
  return places.length === 0 ? undefined : [Math.min(...places), Math.max(...places)];
}
