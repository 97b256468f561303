// The jobs, the newest first, and a new one.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate } from 'react-router';
import { under } from '../api/client';
import type { JobView } from '../api/types';
import { useFigureName } from '../chart/plot';
import { MOST } from '../chart/series';
import { compareAddress } from '../compare';
import { Button, Check } from '../components/controls';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { Empty, Panel, Progress, Table, Top } from '../components/pieces';
import { JobBadge } from '../components/state';
import { address, useHere } from '../federation';
import { figure } from '../format';
import { useResource, useTitle } from '../use';
import { NewJob } from './new-job';

/** How many jobs are listed. */
const SHOWN = 100;

export function Jobs() {
  const { t } = useTranslation();
  const { name, snapshot, mayAct } = useHere();
  const [making, setMaking] = useState(false);
  const { data, error } = useResource<JobView[]>(under(name, 'jobs'), snapshot.story.changes.jobs, 5000);
  useTitle(t('nav.jobs'), name);
  const make = mayAct && (
    <Button look="first" onPress={() => setMaking(true)}>
      <Icon name="plus" />
      {t('jobs.create')}
    </Button>
  );
  return (
    <>
      <Top title={t('nav.jobs')} under={t('jobs.under')} actions={make} />
      {data === undefined ? (
        <NotYet error={error} />
      ) : data.length === 0 ? (
        <Empty icon="jobs" title={t('jobs.none')}>
          <p>{t('jobs.none_hint')}</p>
          <code>dure job start fitbit</code>
        </Empty>
      ) : (
        <List jobs={data.slice(-SHOWN).reverse()} />
      )}
      <NewJob open={making} onClose={() => setMaking(false)} />
    </>
  );
}

function List({ jobs }: { jobs: JobView[] }) {
  const { t, i18n } = useTranslation();
  const { name } = useHere();
  const figureName = useFigureName();
  const navigate = useNavigate();
  const [ticked, setTicked] = useState<readonly number[]>([]);
  const tick = (job: number, on: boolean) => setTicked(on ? [...ticked, job] : ticked.filter((other) => other !== job));
  const compare = (
    <Button isDisabled={ticked.length < 2} onPress={() => void navigate(compareAddress(ticked.toSorted((a, b) => a - b).map((job) => ({ federation: name, job }))))}>
      {t('compare.do')}
    </Button>
  );
  const head = (
    <>
      <th>
        <span className="heard">{t('compare.do')}</span>
      </th>
      <th>{t('jobs.job')}</th>
      <th>{t('jobs.status')}</th>
      <th>{t('jobs.strategy')}</th>
      <th>{t('jobs.rounds')}</th>
      <th className="number">{t('jobs.best')}</th>
      <th className="number">{t('jobs.version')}</th>
    </>
  );
  return (
    <Panel flush title={t('jobs.list')} actions={compare}>
      <Table label={t('jobs.list')} head={head}>
        {jobs.map((job) => (
          <tr key={job.job}>
            <td className="tick">
              <Check label={t('compare.tick', { job: job.job })} on={ticked.includes(job.job)} onChange={(on) => tick(job.job, on)} disabled={ticked.length >= MOST && !ticked.includes(job.job)} />
            </td>
            <th scope="row">
              <Link to={address(name, 'jobs', job.job)}>{t('jobs.title_of', { job: job.job, recipe: job.plan.name })}</Link>
              {job.refit_of != null && <span className="muted"> {t('jobs.refit_of', { job: job.refit_of })}</span>}
            </th>
            <td>
              <JobBadge status={job.status} />
            </td>
            <td>{job.plan.strategy.name}</td>
            <td>
              <span className="with-progress">
                <Progress value={job.completed} of={job.rounds} label={t('jobs.rounds')} />
                {job.completed} / {job.rounds}
              </span>
            </td>
            <td className="number">{job.best == null ? '–' : `${figureName(job.best.metric)} ${figure(job.best.value, i18n.language)}`}</td>
            <td className="number">{job.version ?? '–'}</td>
          </tr>
        ))}
      </Table>
    </Panel>
  );
}
