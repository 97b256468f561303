// Hooks: what the server says of something, kept fresh, and what is done to it.
import { useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { get, Refused, Unreachable } from './api/client';
import { asOf, useHere } from './federation';

export interface Resource<T> {
  data: T | undefined;
  /** The same or, until that is there, what was at the path before: to be shown while somebody searches and leafs. */
  shown: T | undefined;
  error: Error | undefined;
  reload: () => void;
}

/** The least time between two requests for the same thing, in milliseconds. */
const LEAST_MS = 400;

/** How what is at a path is read. */
type Read<T> = (path: string, signal: AbortSignal) => Promise<T>;

/** Fetches one thing again and again: never twice at a time, and not more often than now and then. */
class Loader<T> {
  private readonly stop = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private began = -LEAST_MS;
  private busy = false;
  private wanted = false;

  constructor(
    private readonly path: string,
    private readonly read: Read<T>,
    private readonly told: (said: { data: T } | { error: Error }) => void,
  ) {}

  /** Says that what was fetched may be another by now. */
  nudge(): void {
    this.wanted = true;
    if (this.busy || this.timer !== undefined || this.stop.signal.aborted) return;
    this.timer = setTimeout(() => void this.load(), Math.max(0, this.began + LEAST_MS - performance.now()));
  }

  close(): void {
    clearTimeout(this.timer);
    this.stop.abort();
  }

  private isWanted(): boolean {
    return this.wanted;
  }

  private async load(): Promise<void> {
    [this.timer, this.busy, this.wanted, this.began] = [undefined, true, false, performance.now()];
    try {
      const data = await this.read(this.path, this.stop.signal);
      this.told({ data });
    } catch (error) {
      if (!this.stop.signal.aborted) this.told({ error: asError(error) });
    }
    this.busy = false;
    if (this.isWanted()) this.nudge();
  }
}

/** What is known of a path, or still of another. */
interface State<T> {
  path?: string;
  data?: T;
  error?: Error;
}

/** What is still known when a request fails. */
function failed<T>(before: State<T>, path: string, error: Error): State<T> {
  return before.path === path ? { ...before, error } : { path, error };
}

/**
 * What is at `present` (nothing, if that is undefined): fetched anew when `version` changes, and every `everyMs`. Meanwhile, and if that
 * fails, what was there stays. In the past what is of a federation is what was there then, and no more is fetched anew.
 */
export function useResource<T>(present: string | undefined, version: unknown = 0, presentEveryMs?: number, read: Read<T> = get): Resource<T> {
  const { at } = useHere();
  const path = present === undefined ? undefined : asOf(present, at);
  const everyMs = path === present ? presentEveryMs : undefined;
  const [state, setState] = useState<State<T>>({});
  const loader = useRef<Loader<T>>(undefined);

  useEffect(() => {
    if (path === undefined) return;
    const current = new Loader<T>(path, read, (said) => setState((before) => ('data' in said ? { path, data: said.data } : failed(before, path, said.error))));
    loader.current = current;
    const timer = everyMs === undefined ? undefined : setInterval(() => document.visibilityState === 'visible' && current.nudge(), everyMs);
    return () => {
      clearInterval(timer);
      current.close();
    };
  }, [path, everyMs, read]);

  useEffect(() => loader.current?.nudge(), [path, everyMs, version]);

  const reload = useCallback(() => loader.current?.nudge(), []);
  const current = state.path === path ? state : {};
  return { data: current.data, shown: state.data, error: current.error, reload };
}

export interface Action<A extends unknown[]> {
  run: (...args: A) => Promise<boolean>;
  busy: boolean;
  /** Why the last one failed, in words. */
  failure: string | undefined;
  clear: () => void;
}

/** Something that is done when a button is pressed: once at a time, and with words if it fails. */
export function useAction<A extends unknown[]>(act: (...args: A) => Promise<unknown>): Action<A> {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const words = useFailureWords();
  const run = async (...args: A) => {
    setBusy(true);
    setFailure(undefined);
    try {
      await act(...args);
      return true;
    } catch (error) {
      setFailure(words(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { run, busy, failure, clear: () => setFailure(undefined) };
}

/** Says in words why something failed. */
export function useFailureWords(): (error: unknown) => string {
  const { t } = useTranslation();
  return (error) => {
    if (error instanceof Unreachable) return t('error.unreachable');
    if (error instanceof Refused && error.status === 401) return t('error.session');
    return asError(error).message;
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** The title of the tab. */
export function useTitle(...parts: (string | undefined)[]): void {
  const title = [...parts.filter((part) => part !== undefined), 'Dure'].join(' · ');
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** A value that has not changed for a moment. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
