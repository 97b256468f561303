// Beside the page: folds whole journals, and hands over what of their jobs is compared.
import { outlineOf, type Outline } from '../compare';
import { parseLine, type Entry } from './entry';
import { journalLines } from './export';
import { pack, type Packed } from './failure';
import { EMPTY, fold } from './fold';

export type FromWorker =
  | { told: 'read'; federation: string; jobs: Outline[] }
  | { told: 'failed'; refused: Packed };

/** How many entries are folded at a time. */
const BATCH = 5000;

const page = self as unknown as { postMessage: (message: FromWorker) => void; onmessage: (event: MessageEvent<{ federations: readonly string[] }>) => void };

page.onmessage = ({ data }) => void readAll(data.federations);

async function readAll(federations: readonly string[]): Promise<void> {
  try {
    for (const federation of federations) page.postMessage({ told: 'read', federation, jobs: await read(federation) });
  } catch (error) {
    page.postMessage({ told: 'failed', refused: pack(error) });
  }
}

async function read(federation: string): Promise<Outline[]> {
  let story = EMPTY;
  let batch: Entry[] = [];
  for await (const line of journalLines(federation)) {
    batch.push(parseLine(line));
    if (batch.length < BATCH) continue;
    story = fold(story, batch);
    batch = [];
  }
  story = fold(story, batch);
  return [...story.jobs.values()].map(outlineOf);
}
