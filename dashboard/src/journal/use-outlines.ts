// The jobs of whole federations, from their journals as they are when somebody looks.
import { useEffect, useState } from 'react';
import type { Outline } from '../compare';
import { unpack } from './failure';
import type { FromWorker } from './outline.worker';

export interface Outlines {
  /** By federation; those that are not read yet are not in it. */
  jobs: ReadonlyMap<string, readonly Outline[]>;
  failure: Error | undefined;
  reload: () => void;
}

export function useOutlines(federations: readonly string[]): Outlines {
  const [state, setState] = useState<Omit<Outlines, 'reload'>>({ jobs: new Map(), failure: undefined });
  const [times, setTimes] = useState(0);
  const wanted = JSON.stringify(federations);

  useEffect(() => {
    const worker = new Worker(new URL('./outline.worker.ts', import.meta.url), { type: 'module' });
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.told === 'read') setState(({ jobs }) => ({ jobs: new Map(jobs).set(data.federation, data.jobs), failure: undefined }));
      if (data.told === 'failed') setState(({ jobs }) => ({ jobs, failure: unpack(data.refused) }));
    };
    worker.postMessage({ federations: JSON.parse(wanted) as string[] });
    return () => worker.terminate();
  }, [wanted, times]);

  return { ...state, reload: () => setTimes(times + 1) };
}
