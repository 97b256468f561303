// The federation that is looked at: its journal as it grows, shared by all of its screens.
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import { EMPTY, type Story } from './journal/fold';
import { Feed, type Snapshot } from './journal/feed';
import type { FederationView } from './api/types';

export interface Here {
  name: string;
  view: FederationView | undefined;
  snapshot: Snapshot;
  /** The event of the past at which everything is shown; the present, if undefined. */
  at: number | undefined;
  /** How many events the journal has, while it is read for the first time: what is shown is not all yet. */
  reading: number | undefined;
  /** Whether the server only shows what was recorded. */
  recorded: boolean;
  /** Whether anything can be done: not to the past, and not where a server only shows what was. */
  mayAct: boolean;
}

const NOWHERE: Snapshot = { story: EMPTY, line: { state: 'connecting' }, check: { state: 'unchecked' }, entries: [] };

export const HereContext = createContext<Here>({ name: '', view: undefined, snapshot: NOWHERE, at: undefined, reading: undefined, recorded: false, mayAct: false });

export function useHere(): Here {
  return useContext(HereContext);
}

export function useStory(): Story {
  return useHere().snapshot.story;
}

const nothing = () => () => undefined;
const nowhere = () => NOWHERE;

/** Follows a federation's journal while somebody looks, and shows it as it was after event `at`, if that is given. */
export function useFeed(federation: string, at: number | undefined): { now: Snapshot; shown: Snapshot } {
  const [feed, setFeed] = useState<Feed>();
  useEffect(() => {
    const feed = new Feed(federation);
    // A feed opens a connection, so it is made where it can be closed again.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setFeed(feed);
    return () => feed.close();
  }, [federation]);
  const now = useSyncExternalStore(feed?.subscribe ?? nothing, feed?.get ?? nowhere);
  const past = usePast(feed, at);
  return { now, shown: past === undefined ? now : { ...now, ...past } };
}

type Past = Pick<Snapshot, 'story' | 'entries'>;

/** The past after event `at`; until that is there, what was shown before it. */
function usePast(feed: Feed | undefined, at: number | undefined): Past | undefined {
  const [past, setPast] = useState<Past>();
  useEffect(() => {
    if (feed === undefined || at === undefined) return;
    const closing = new AbortController();
    // What cannot be had now is asked for again by whoever moves on.
    feed.past(at, closing.signal).then(setPast, () => undefined);
    return () => closing.abort();
  }, [feed, at]);
  return at === undefined ? undefined : past;
}

/** An API path of a federation, as of an event of its journal. */
export function asOf(path: string, at: number | undefined): string {
  const fits = at !== undefined && path.startsWith('/v1/federations/');
  return fits ? `${path}${path.includes('?') ? '&' : '?'}at=${at}` : path;
}

/** The address of one of a federation's screens. */
export function address(federation: string, ...parts: (string | number)[]): string {
  return ['/federations', ...[federation, ...parts].map(encodeURIComponent)].join('/');
}
