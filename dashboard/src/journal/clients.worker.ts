// Beside the page, so that it never stands still: reads the journal, and answers what is asked of a job's clients.
import type { Spot, Spread } from './clients';
import { ClientFigures } from './clients';
import { parseLine } from './entry';
import type { JournalRecord } from './events';
import { journalLines } from './export';
import { pack, type Packed } from './failure';

/** What the page wants to see. */
export interface Ask {
  figure: string;
  /** Later rounds are not looked at. */
  upTo: number;
  clients: readonly string[];
  extremes: boolean;
  search: string;
}

export interface Said {
  ask: Ask;
  /** How many clients have ever answered. */
  clients: number;
  found: readonly string[];
  spread: readonly Spread[];
  curves: Readonly<Record<string, readonly Spot[]>>;
  extremes: { best: string; median: string; worst: string } | undefined;
}

export type ToWorker =
  /** Reads the whole journal. */
  | { do: 'read'; federation: string; job: number }
  /** Takes events that came after what was read. */
  | { do: 'take'; job: number; events: readonly string[] }
  | { do: 'ask'; ask: Ask }
  | { do: 'table'; upTo: number };

export type FromWorker =
  | { told: 'reading'; events: number }
  | { told: 'read'; upTo: number }
  | { told: 'said'; said: Said }
  | { told: 'table'; table: Blob }
  | { told: 'failed'; refused: Packed };

/** Names that are suggested at a time. */
const SUGGESTED = 8;
/** How often the page is told how far reading is, in events. */
const TOLD_EVERY = 20_000;
/** How long events are gathered before they change what was said, in milliseconds. */
const GATHER_MS = 200;

const page = self as unknown as { postMessage: (message: FromWorker) => void; onmessage: (event: MessageEvent<ToWorker>) => void };

let figures: ClientFigures | undefined;
let asked: Ask | undefined;
let gathering: ReturnType<typeof setTimeout> | undefined;

page.onmessage = ({ data }) => {
  switch (data.do) {
    case 'read':
      return void read(data.federation, data.job);
    case 'take':
      figures ??= new ClientFigures(data.job);
      for (const event of data.events) figures.take(JSON.parse(event) as JournalRecord);
      gathering ??= setTimeout(say, GATHER_MS);
      return;
    case 'ask':
      asked = data.ask;
      return say();
    case 'table':
      return page.postMessage({ told: 'table', table: new Blob([...(figures?.table(data.upTo) ?? [])], { type: 'text/csv' }) });
  }
};

async function read(federation: string, job: number): Promise<void> {
  const fresh = new ClientFigures(job);
  const ours = `"round":"${job}-`;
  let events = 0;
  try {
    for await (const line of journalLines(federation)) {
      events += 1;
      if (line.includes(ours)) fresh.take(parseLine(line).record);
      if (events % TOLD_EVERY === 0) page.postMessage({ told: 'reading', events });
    }
  } catch (error) {
    return page.postMessage({ told: 'failed', refused: pack(error) });
  }
  figures = fresh;
  page.postMessage({ told: 'read', upTo: events });
  say();
}

function say(): void {
  clearTimeout(gathering);
  gathering = undefined;
  if (figures === undefined || asked === undefined) return;
  const { figure, upTo, clients, search } = asked;
  const extremes = asked.extremes ? figures.extremes(figure, upTo) : undefined;
  const drawn = new Set([...clients, ...Object.values(extremes ?? {})]);
  const curves = Object.fromEntries([...drawn].map((client) => [client, figures?.curve(client, figure, upTo) ?? []]));
  const found = figures.find(search, SUGGESTED);
  page.postMessage({ told: 'said', said: { ask: asked, clients: figures.clients, found, spread: figures.spread(figure, upTo), curves, extremes } });
}
