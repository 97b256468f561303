// What a simulation says at its end, where a folder of one is looked at. A server that trains has no such thing, and answers so.
import { useMemo } from 'react';
import { under } from './api/client';
import type { Metrics } from './api/types';
import { useHere } from './federation';
import { useResource } from './use';

/** What was learned otherwise, from the same rows: with all of them in one place, and by every client alone. */
export type Baseline = 'central' | 'local';

/** What of `result.json` is shown. Beside the figures stands how they spread. */
interface Report {
  baselines: Partial<Record<Baseline, Record<string, unknown>>>;
}

export type Baselines = readonly (readonly [Baseline, Metrics])[];

/** The baselines on test rows; none where they are not known. */
export function useBaselines(federation: string): Baselines {
  const { recorded } = useHere();
  const { shown } = useResource<Report>(recorded ? under(federation, 'report') : undefined);
  return useMemo(() => baselines(shown), [shown]);
}

export function baselines(report: Report | undefined): Baselines {
  return (['central', 'local'] as const).flatMap((name): Baselines => {
    const figures = report?.baselines[name];
    if (figures === undefined) return [];
    const numbers = Object.entries(figures).filter((figure): figure is [string, number] => typeof figure[1] === 'number');
    return [[name, Object.fromEntries(numbers)]];
  });
}
