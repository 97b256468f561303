// What is around every screen of a federation: its name, its line, and the ways to its other screens.
import { memo, useCallback, useEffect, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { NavLink, Outlet, useParams, useSearchParams } from 'react-router';
import { under } from '../api/client';
import type { FederationView, SystemView } from '../api/types';
import { Button } from '../components/controls';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { LineBand, LineSign, ReadingBand } from '../components/line';
import { Shell } from '../components/shell';
import { TimeBar } from '../components/time-bar';
import { address, asOf, HereContext, useFeed } from '../federation';
import { useResource, useSettled } from '../use';

export function Federation() {
  const { federation = '' } = useParams();
  return <Followed key={federation} name={federation} />;
}

function Followed({ name }: { name: string }) {
  const [at, setAt] = useMoment();
  const { now, shown: snapshot } = useFeed(name, at);
  // The server is not asked for every moment that a thumb passes over.
  const settled = useSettled(at, 120);
  const { changes } = now.story;
  const version = at === undefined ? `${changes.clients} ${changes.jobs} ${changes.models} ${now.line.state}` : 'past';
  const { shown: view, error } = useResource<FederationView>(asOf(under(name), settled), version, at === undefined ? 5000 : undefined);
  const { data: system } = useResource<SystemView>('/v1/system', now.line.state);
  const recorded = system?.read_only === true;
  const mayAct = at === undefined && system !== undefined && !recorded;
  const reading = useReading(now.story.sequence, at === undefined && view !== undefined ? Number(view.journal.sequence) : 0);
  const { sequence } = now.story;
  const newest = useRef(sequence);
  useEffect(() => {
    newest.current = sequence;
  }, [sequence]);
  const past = at !== undefined;
  const travel = useCallback(() => setAt(past ? undefined : newest.current), [setAt, past]);
  const leave = useCallback(() => setAt(undefined), [setAt]);
  return (
    <Shell
      bar={
        <>
          <span className="here">{name}</span>
          <LineSign line={now.line} mood={at !== undefined ? 'past' : reading !== undefined ? 'reading' : recorded ? 'recorded' : 'live'} />
        </>
      }
      nav={<Nav name={name} past={past} onPast={travel} />}
    >
      <LineBand line={now.line} />
      {reading !== undefined && at === undefined && <ReadingBand read={sequence} of={reading} />}
      {at !== undefined && <TimeBar at={at} length={sequence} entry={snapshot.entries.findLast((entry) => entry.sequence === at)} time={snapshot.story.at} onMove={setAt} onLeave={leave} />}
      {view === undefined ? (
        <NotYet error={error} />
      ) : (
        <HereContext value={{ name, view, snapshot, at: settled, reading, recorded, mayAct }}>
          <Outlet />
        </HereContext>
      )}
    </Shell>
  );
}

/** The event of the past that is looked at. It is in the page's address, so that a moment can be shown to others. */
function useMoment(): [number | undefined, (at: number | undefined) => void] {
  const [search, setSearch] = useSearchParams();
  const given = Number(search.get('at') ?? NaN);
  const [at, setAt] = useState(Number.isInteger(given) && given > 0 ? given : undefined);
  const settled = useSettled(at, 300);
  useEffect(() => {
    if ((search.get('at') ?? undefined) === settled?.toString()) return;
    const change = (before: URLSearchParams) => {
      const after = new URLSearchParams(before);
      if (settled === undefined) after.delete('at');
      else after.set('at', String(settled));
      return after;
    };
    setSearch(change, { replace: true });
  }, [settled, search, setSearch]);
  return [at, setAt];
}

/** By how many events the page may be behind a journal that grows, and yet have read it. */
const BEHIND = 100;

/** How many events there are to be read, until the journal was read once to where it ended. */
function useReading(read: number, end: number): number | undefined {
  const [done, setDone] = useState(false);
  if (!done && end > 0 && read >= end - BEHIND) setDone(true);
  return done || end === 0 ? undefined : end;
}

const SCREENS = [
  { to: [], name: 'overview' },
  { to: ['clients'], name: 'clients' },
  { to: ['data'], name: 'data' },
  { to: ['jobs'], name: 'jobs' },
  { to: ['models'], name: 'models' },
  { to: ['journal'], name: 'journal' },
  { to: ['system'], name: 'system' },
] as const;

const Nav = memo(function Nav({ name, past, onPast }: { name: string; past: boolean; onPast: () => void }) {
  const { t } = useTranslation();
  return (
    <nav className="nav" aria-label={t('shell.screens')}>
      {SCREENS.map((screen) => (
        <NavLink key={screen.name} to={address(name, ...screen.to)} end={screen.to.length === 0}>
          <Icon name={screen.name} />
          <span>{t(`nav.${screen.name}`)}</span>
        </NavLink>
      ))}
      <Button look="quiet" className={past ? 'active' : ''} aria-pressed={past} onPress={onPast}>
        <Icon name="past" />
        <span>{t('nav.past')}</span>
      </Button>
    </nav>
  );
});
