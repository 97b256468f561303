// The federation that is looked at: its journal as it grows, shared by all of its screens.
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from 'react';
import { EMPTY, type Story } from './journal/fold';
import { Feed, type Snapshot } from './journal/feed';
import type { FederationView } from './api/types';

export interface Here {
  name: string;
  view: FederationView | undefined;
  snapshot: Snapshot;
}

const NOWHERE: Snapshot = { story: EMPTY, line: { state: 'connecting' }, check: { state: 'unchecked' }, entries: [] };

export const HereContext = createContext<Here>({ name: '', view: undefined, snapshot: NOWHERE });

export function useHere(): Here {
  return useContext(HereContext);
}

export function useStory(): Story {
  return useHere().snapshot.story;
}

const nothing = () => () => undefined;
const nowhere = () => NOWHERE;

/** Follows a federation's journal while somebody looks. */
export function useFeed(federation: string): Snapshot {
  const [feed, setFeed] = useState<Feed>();
  useEffect(() => {
    const feed = new Feed(federation);
    // A feed opens a connection, so it is made where it can be closed again.
    // eslint-disable-next-line react-hooks/set-state-in-effect
    setFeed(feed);
    return () => feed.close();
  }, [federation]);
  return useSyncExternalStore(feed?.subscribe ?? nothing, feed?.get ?? nowhere);
}

/** The address of one of a federation's screens. */
export function address(federation: string, ...parts: (string | number)[]): string {
  return ['/federations', ...[federation, ...parts].map(encodeURIComponent)].join('/');
}
