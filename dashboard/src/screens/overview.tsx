// What runs, what it waits for, and what has happened last.
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { ready, under } from '../api/client';
import type { JobView } from '../api/types';
import { JobChart } from '../chart/job-chart';
import { DemoPanel } from '../components/demo';
import { EventList } from '../components/event-list';
import { Badge, Empty, Loading, Panel, Progress, Tile, Top } from '../components/pieces';
import { JobBadge } from '../components/state';
import { OwnWords, WaitingWords } from '../components/words';
import { useHere, useStory } from '../federation';
import { clock, count } from '../format';
import { present, total } from '../members';
import { useResource, useTitle } from '../use';

export function Overview() {
  const { t } = useTranslation();
  const { name, view, snapshot } = useHere();
  const { story } = snapshot;
  useTitle(t('nav.overview'), name);
  const id = view?.active_job ?? (view !== undefined && view.jobs > 0 ? view.jobs : undefined);
  const version = `${story.changes.jobs} ${snapshot.line.state}`;
  const { data: job } = useResource<JobView>(id == null ? undefined : under(name, 'jobs', id), version, 2000);
  return (
    <>
      <Top title={name} under={view?.recipe == null ? undefined : t('federations.recipe', { recipe: view.recipe })} />
      <Tiles job={job} />
      <div className="columns">
        <div className="column">
          <Running job={job} />
          {job !== undefined && <Curve job={job.job} />}
        </div>
        <div className="column">
          <DemoPanel />
          <Trouble />
          <Panel title={t('overview.events')} actions={<Link to="journal">{t('overview.all_events')}</Link>}>
            <EventList entries={snapshot.entries.slice(-12).reverse()} />
          </Panel>
        </div>
      </div>
    </>
  );
}

function Tiles({ job }: { job: JobView | undefined }) {
  const { t, i18n } = useTranslation();
  const { view, snapshot, at, reading } = useHere();
  if (view === undefined) return null;
  const number = (value: number) => count(value, i18n.language);
  const { check } = snapshot;
  return (
    <dl className="tiles">
      <Tile label={t('overview.clients')} value={number(present(view))} under={t('overview.of_clients', { count: total(view) })} />
      <Tile label={t('overview.rounds')} value={job === undefined ? '–' : number(job.completed)} under={job === undefined ? undefined : t('overview.of_rounds', { count: job.rounds })} />
      <Tile label={t('overview.versions')} value={number(view.versions)} />
      <Tile
        label={t('overview.entries')}
        value={number(snapshot.story.sequence)}
        under={reading !== undefined ? t('line.reading') : check.state === 'holds' ? t('chain.holds_short') : check.state === 'broken' ? t('chain.broken_short', { at: check.at }) : t('chain.unchecked_short')}
      />
      {at === undefined && <Tile label={t('overview.health')} value={<Health />} />}
    </dl>
  );
}

/** Whether the server can go on, as far as can be seen from here. */
function Health() {
  const { t } = useTranslation();
  const { snapshot } = useHere();
  const { data } = useResource('/readyz', snapshot.line.state, 5000, ready);
  if (snapshot.line.state !== 'live') return <Badge tone="bad">{t('overview.unreachable')}</Badge>;
  return data === false ? <Badge tone="bad">{t('overview.troubled')}</Badge> : <Badge tone="good">{t('overview.healthy')}</Badge>;
}

function Running({ job }: { job: JobView | undefined }) {
  const { t } = useTranslation();
  const { view, mayAct } = useHere();
  if (job === undefined) {
    // There are jobs: only the newest is not at hand.
    if (view !== undefined && view.jobs > 0) return <Loading />;
    const nobody = view !== undefined && total(view) === 0;
    return (
      <Panel title={t('overview.now')}>
        <Empty icon={nobody ? 'clients' : 'jobs'} title={nobody ? t('clients.none') : t('jobs.none')}>
          {mayAct && (nobody ? <Link to="clients?invite">{t('clients.invite')}</Link> : <Link to="jobs">{t('jobs.create')}</Link>)}
        </Empty>
      </Panel>
    );
  }
  return (
    <Panel title={t('overview.now')} actions={<JobBadge status={job.status} />}>
      <p className="lead">
        <Link to={`jobs/${job.job}`}>{t('jobs.title_of', { job: job.job, recipe: job.plan.name })}</Link>{' '}
        <span className="muted">{job.refit_of == null ? job.plan.strategy.name : t('jobs.refit_of', { job: job.refit_of })}</span>
      </p>
      {job.waiting != null && (
        <p className="waiting">
          <WaitingWords words={job.waiting} />
        </p>
      )}
      <Progress value={job.completed} of={job.rounds} label={t('overview.rounds')} />
      {job.round != null && <OpenRound round={job.round} />}
    </Panel>
  );
}

function OpenRound({ round }: { round: NonNullable<JobView['round']> }) {
  const { t } = useTranslation();
  return (
    <p className="open-round">
      <Link to={`rounds/${round.round}`}>{round.round}</Link>
      <Progress value={round.reported.length} of={round.goal} label={t('round.answers')} />
      <span className="muted">{t('round.reported_of', { reported: round.reported.length, goal: round.goal, quorum: round.quorum })}</span>
    </p>
  );
}

function Curve({ job }: { job: number }) {
  const { t } = useTranslation();
  const story = useStory();
  const points = story.jobs.get(job)?.points ?? [];
  if (points.length === 0) return null;
  return (
    <Panel title={t('curves.title')}>
      <JobChart points={points} />
    </Panel>
  );
}

/** What sites said that went wrong, the newest first. */
function Trouble() {
  const { t } = useTranslation();
  const { complaints } = useStory();
  if (complaints.length === 0) return null;
  return (
    <Panel title={t('overview.trouble')}>
      <ul className="complaints">
        {complaints.slice(-5).reverse().map((complaint) => (
          <li key={complaint.sequence}>
            <Link to={`clients?search=${encodeURIComponent(complaint.client)}`}>{complaint.client}</Link>{' '}
            <span className="muted">{clock(complaint.at)}</span>
            <OwnWords words={complaint.reason} />
          </li>
        ))}
      </ul>
    </Panel>
  );
}
