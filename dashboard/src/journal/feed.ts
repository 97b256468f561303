// The journal as it grows: follows a federation's event stream, and never loses an event, for it asks again for what comes after
// the last that it has.
import { Refused, send, under } from '../api/client';
import { Chain, digestOf, type Check } from './chain';
import { parseLine, type Entry } from './entry';
import { EMPTY, fold, type Story } from './fold';
import { History } from './history';
import { SseParser } from './sse';

/** How the line to the server is. */
export type Line =
  | { state: 'connecting' }
  | { state: 'live' }
  /** Nothing comes; it is tried again. */
  | { state: 'cut'; since: number }
  /** It is not tried again: the session has ended, or the journal is not the one that it was. */
  | { state: 'over'; why: 'session' | 'missing' | 'other-journal' };

export interface Snapshot {
  story: Story;
  line: Line;
  check: Check;
  /** The newest entries, the oldest first. */
  entries: readonly Entry[];
}

/** How many entries are kept as they are. Everything older is in the story, and in the exported journal. */
export const KEPT_ENTRIES = 20_000;
/** How many events before a moment of the past are at hand, however few are needed to make its story. */
const LEAST_PAST = 100;
/** How long events are gathered before they are shown, in milliseconds. */
const GATHER_MS = 50;
/** How often it is said how far the chain was held, while events come, in milliseconds. */
const CHECK_MS = 500;
/** How many events are read, or folded, at a time; then the page may do something else. */
const AT_ONCE = 500;
/** A server says something every 15 seconds, if only that it is there. */
const SILENCE_MS = 40_000;
const RETRIES_MS = [250, 500, 1000];

/** Follows one federation until it is closed. */
export class Feed {
  private snapshot: Snapshot;
  private readonly history = new History();
  private readonly chain = new Chain(digestOf(crypto.subtle));
  private readonly listeners = new Set<() => void>();
  private readonly closing = new AbortController();
  private pending: Entry[] = [];
  private gathering: ReturnType<typeof setTimeout> | undefined;
  private checking: Promise<unknown> = Promise.resolve();
  private last = 0;
  private checkTold = -CHECK_MS;

  constructor(private readonly federation: string) {
    this.snapshot = { story: EMPTY, line: { state: 'connecting' }, check: this.chain.check, entries: [] };
    void this.run();
  }

  readonly get = (): Snapshot => this.snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** What the journal had come to with event `at`, and the last events until then. */
  async past(at: number, signal: AbortSignal): Promise<Pick<Snapshot, 'story' | 'entries'>> {
    const before = this.history.before(at);
    const { entries } = this.snapshot;
    const first = entries[0]?.sequence ?? 0;
    const known = first > 0 && first <= Math.max(1, Math.min(before.sequence, at - LEAST_PAST));
    const piece = known ? entries.slice(0, at - first + 1) : await this.fetch(Math.max(0, Math.min(before.sequence, at - LEAST_PAST)), at, signal);
    return { story: fold(before, piece), entries: piece };
  }

  /** The entries after one up to another, from the server. */
  private async fetch(after: number, to: number, signal: AbortSignal): Promise<Entry[]> {
    const response = await send('GET', `${under(this.federation, 'journal')}?after=${after}&to=${to}`, undefined, { signal });
    const lines = (await response.text()).split('\n');
    return lines.filter((line) => line !== '').map(parseLine);
  }

  close(): void {
    this.closing.abort();
    clearTimeout(this.gathering);
    this.listeners.clear();
  }

  private isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private async run(): Promise<void> {
    for (let tries = 0; !this.isClosed(); tries += 1) {
      const before = this.last;
      const line = await this.follow().catch(over);
      if (this.isClosed()) return;
      if (this.last > before) tries = 0;
      if (line !== undefined) {
        this.tell({ line });
        return;
      }
      if (this.snapshot.line.state !== 'cut') this.tell({ line: { state: 'cut', since: Date.now() } });
      await pause(RETRIES_MS[Math.min(tries, RETRIES_MS.length - 1)] ?? 0, this.closing.signal);
    }
  }

  /** Reads the stream until it breaks off; says so only if there is no use in asking again. */
  private async follow(): Promise<Line | undefined> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), SILENCE_MS);
    const signal = AbortSignal.any([this.closing.signal, silence.signal]);
    try {
      const headers = this.last > 0 ? { 'last-event-id': String(this.last) } : {};
      const response = await send('GET', under(this.federation, 'events'), undefined, { headers, signal });
      if (response.body === null) return undefined;
      this.tell({ line: { state: 'live' } });
      const parser = new SseParser();
      for await (const piece of texts(response.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE_MS);
        const messages = parser.push(piece);
        for (let i = 0; i < messages.length; i += AT_ONCE) {
          if (i > 0) await pause(0, signal);
          const entries = messages.slice(i, i + AT_ONCE).map((message) => parseLine(message.data));
          if (!this.take(entries)) return { state: 'over', why: 'other-journal' };
        }
      }
      return undefined;
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  /** Whether the entries come after the ones that are here. */
  private take(entries: Entry[]): boolean {
    for (const entry of entries) {
      if (entry.sequence !== this.last + 1) return false;
      this.last = entry.sequence;
      this.pending.push(entry);
    }
    if (this.pending.length > 0) this.gathering ??= setTimeout(() => this.show(), GATHER_MS);
    return true;
  }

  private show(): void {
    const fresh = this.pending.splice(0, AT_ONCE);
    // A long journal comes faster than it is read: whoever presses something meanwhile is heard in between.
    this.gathering = this.pending.length > 0 ? setTimeout(() => this.show(), 0) : undefined;
    const story = fold(this.snapshot.story, fresh);
    this.history.note(story);
    this.tell({ story, entries: [...this.snapshot.entries, ...fresh].slice(-KEPT_ENTRIES) });
    this.checking = this.checking.then(() => this.chain.follow(fresh)).then((check) => this.tellCheck(check));
  }

  /** Says how far the chain was held: at once where nothing more comes or it is broken, else now and then. */
  private tellCheck(check: Check): void {
    const now = performance.now();
    if (check.state === 'holds' && this.gathering !== undefined && now < this.checkTold + CHECK_MS) return;
    this.checkTold = now;
    this.tell({ check });
  }

  private tell(change: Partial<Snapshot>): void {
    if (this.isClosed()) return;
    this.snapshot = { ...this.snapshot, ...change };
    this.listeners.forEach((listener) => listener());
  }
}

function over(error: unknown): Line | undefined {
  if (!(error instanceof Refused)) return undefined;
  if (error.status === 401) return { state: 'over', why: 'session' };
  return error.status === 404 ? { state: 'over', why: 'missing' } : undefined;
}

/** A body as text, in the pieces in which it comes. */
export async function* texts(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) yield piece.value;
}

/** Waits so long, or until the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
