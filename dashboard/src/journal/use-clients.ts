// The figures of a job's clients, for as long as somebody looks at them.
import { useEffect, useRef, useState } from 'react';
import type { Snapshot } from './feed';
import type { Ask, FromWorker, Said, ToWorker } from './clients.worker';
import { unpack } from './failure';

export interface Clients {
  said: Said | undefined;
  /** How many events were read so far, while the journal is read. */
  reading: number | undefined;
  failure: Error | undefined;
  /** Every client in every round, as a CSV file. */
  table: () => Promise<Blob>;
}

/** Asks a worker, which is there from the first ask on. */
export function useClients(federation: string, job: number, { entries, story }: Snapshot, ask: Ask | undefined): Clients {
  const [state, setState] = useState<Pick<Clients, 'said' | 'reading' | 'failure'>>({ said: undefined, reading: undefined, failure: undefined });
  const worker = useRef<Worker>(undefined);
  /** The last event that the worker has; nothing while it reads the journal. */
  const known = useRef<number>(0);
  const busy = useRef(false);
  const waiting = useRef<((table: Blob) => void)[]>([]);
  const wanted = ask !== undefined;

  useEffect(() => {
    if (!wanted) return;
    const made = new Worker(new URL('./clients.worker.ts', import.meta.url), { type: 'module' });
    made.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (data.told === 'reading') setState((before) => ({ ...before, reading: data.events }));
      if (data.told === 'said') setState({ said: data.said, reading: undefined, failure: undefined });
      if (data.told === 'table') waiting.current.splice(0).forEach((take) => take(data.table));
      if (data.told === 'read') [known.current, busy.current] = [data.upTo, false];
      if (data.told === 'failed') setState((before) => ({ ...before, reading: undefined, failure: unpack(data.refused) }));
    };
    worker.current = made;
    [known.current, busy.current] = [0, false];
    return () => {
      made.terminate();
      worker.current = undefined;
    };
  }, [wanted, federation, job]);

  useEffect(() => {
    const send = (message: ToWorker) => worker.current?.postMessage(message);
    const first = entries[0]?.sequence;
    if (!wanted || busy.current || first === undefined) return;
    if (first > known.current + 1) {
      // What came before is no longer on the page, so it is fetched.
      busy.current = true;
      return send({ do: 'read', federation, job });
    }
    const last = entries.at(-1)?.sequence ?? 0;
    const fresh = entries.slice(Math.max(0, known.current + 1 - first));
    known.current = Math.max(known.current, last);
    send({ do: 'take', job, events: fresh.filter(({ record }) => 'round' in record && String(record.round).startsWith(`${job}-`)).map(({ event }) => event) });
  }, [wanted, federation, job, entries, state.said]);

  const { figure, upTo, extremes, search, clients } = ask ?? {};
  const names = clients?.join(' ');
  useEffect(() => {
    if (figure === undefined || upTo === undefined || extremes === undefined || search === undefined || names === undefined) return;
    worker.current?.postMessage({ do: 'ask', ask: { figure, upTo, extremes, search, clients: names.split(' ').filter((name) => name !== '') } } satisfies ToWorker);
  }, [wanted, federation, job, figure, upTo, extremes, search, names]);

  const table = () =>
    new Promise<Blob>((resolve) => {
      waiting.current.push(resolve);
      worker.current?.postMessage({ do: 'table', upTo: upTo ?? story.sequence } satisfies ToWorker);
    });
  return { ...state, table };
}
