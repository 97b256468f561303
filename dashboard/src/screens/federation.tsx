// What is around every screen of a federation: its name, its line, and the ways to its other screens.
import { useCallback, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { NavLink, Outlet, useParams } from 'react-router';
import { under } from '../api/client';
import type { FederationView, SystemView } from '../api/types';
import { Button } from '../components/controls';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { LineBand, LineSign } from '../components/line';
import { Shell } from '../components/shell';
import { TimeBar } from '../components/time-bar';
import { address, asOf, HereContext, useFeed } from '../federation';
import { useResource, useSettled } from '../use';

export function Federation() {
  const { federation = '' } = useParams();
  return <Followed key={federation} name={federation} />;
}

function Followed({ name }: { name: string }) {
  const [at, setAt] = useState<number>();
  const { now, shown: snapshot } = useFeed(name, at);
  // The server is not asked for every moment that a thumb passes over.
  const settled = useSettled(at, 120);
  const { changes } = now.story;
  const version = at === undefined ? `${changes.clients} ${changes.jobs} ${changes.models} ${now.line.state}` : 'past';
  const { shown: view, error } = useResource<FederationView>(asOf(under(name), settled), version, at === undefined ? 5000 : undefined);
  const { data: system } = useResource<SystemView>('/v1/system', now.line.state);
  const mayAct = at === undefined && system?.read_only === false;
  const { sequence } = now.story;
  const leave = useCallback(() => setAt(undefined), []);
  return (
    <Shell
      bar={
        <>
          <span className="here">{name}</span>
          <LineSign line={now.line} recorded={system?.read_only === true} />
        </>
      }
      nav={<Nav name={name} past={at !== undefined} onPast={() => setAt(at === undefined ? sequence : undefined)} />}
    >
      <LineBand line={now.line} />
      {at !== undefined && <TimeBar at={at} length={sequence} entry={snapshot.entries.findLast((entry) => entry.sequence === at)} time={snapshot.story.at} onMove={setAt} onLeave={leave} />}
      {view === undefined ? (
        <NotYet error={error} />
      ) : (
        <HereContext value={{ name, view, snapshot, at: settled, mayAct }}>
          <Outlet />
        </HereContext>
      )}
    </Shell>
  );
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

function Nav({ name, past, onPast }: { name: string; past: boolean; onPast: () => void }) {
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
}
