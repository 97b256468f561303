// What is around every screen of a federation: its name, its line, and the ways to its other screens.
import { useTranslation } from 'react-i18next';
import { NavLink, Outlet, useParams } from 'react-router';
import { under } from '../api/client';
import type { FederationView } from '../api/types';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { LineBand, LineSign } from '../components/line';
import { Shell } from '../components/shell';
import { address, HereContext, useFeed } from '../federation';
import { useResource } from '../use';

export function Federation() {
  const { federation = '' } = useParams();
  return <Followed key={federation} name={federation} />;
}

function Followed({ name }: { name: string }) {
  const snapshot = useFeed(name);
  const { changes } = snapshot.story;
  const version = `${changes.clients} ${changes.jobs} ${changes.models} ${snapshot.line.state}`;
  const { data: view, error } = useResource<FederationView>(under(name), version, 5000);
  return (
    <Shell
      bar={
        <>
          <span className="here">{name}</span>
          <LineSign line={snapshot.line} />
        </>
      }
      nav={<Nav name={name} />}
    >
      <LineBand line={snapshot.line} />
      {view === undefined ? (
        <NotYet error={error} />
      ) : (
        <HereContext value={{ name, view, snapshot }}>
          <Outlet />
        </HereContext>
      )}
    </Shell>
  );
}

const SCREENS = [
  { to: [], name: 'overview' },
  { to: ['clients'], name: 'clients' },
  { to: ['jobs'], name: 'jobs' },
  { to: ['models'], name: 'models' },
  { to: ['journal'], name: 'journal' },
] as const;

function Nav({ name }: { name: string }) {
  const { t } = useTranslation();
  return (
    <nav className="nav" aria-label={t('shell.screens')}>
      {SCREENS.map((screen) => (
        <NavLink key={screen.name} to={address(name, ...screen.to)} end={screen.to.length === 0}>
          <Icon name={screen.name} />
          <span>{t(`nav.${screen.name}`)}</span>
        </NavLink>
      ))}
    </nav>
  );
}
