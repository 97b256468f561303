// One job: where it stands, its curves, its rounds, and what can be done with it.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';
import { post, under } from '../api/client';
import type { JobAction, JobView } from '../api/types';
import { LOSS } from '../chart/curve';
import { JobCurves } from '../chart/job-curves';
import { useFigureName } from '../chart/plot';
import { Button, Dialog, Field } from '../components/controls';
import { NotYet } from '../components/guard';
import { Empty, Failure, Panel, Progress, Table, Tile, Top } from '../components/pieces';
import { JobBadge, RoundBadge } from '../components/state';
import { WaitingWords } from '../components/words';
import { address, useHere, useStory } from '../federation';
import { bytes, clock, count, duration, figure, shortest } from '../format';
import type { Job as JobStory, Round } from '../journal/fold';
import { useBaselines } from '../report';
import { useAction, useResource, useTitle } from '../use';

/** How many rounds are listed. */
const SHOWN = 100;

export function Job() {
  const { t } = useTranslation();
  const { job: id = '' } = useParams();
  const { name, snapshot } = useHere();
  const { shown, error, reload } = useResource<JobView>(under(name, 'jobs', id), `${snapshot.story.changes.jobs} ${snapshot.line.state}`, 2000);
  // While another moment is fetched the one before stays, and with it what was chosen; another job's does not.
  const job = shown?.job === Number(id) ? shown : undefined;
  const story = snapshot.story.jobs.get(Number(id));
  useTitle(t('jobs.number', { job: id }), name);
  if (job === undefined) return <NotYet error={error} />;
  return (
    <>
      <Top
        title={t('jobs.title_of', { job: job.job, recipe: job.plan.name })}
        under={<Under job={job} />}
        actions={<JobBadge status={job.status} />}
      />
      <Panel title={t('job.stands')}>
        {job.waiting != null && (
          <p className="waiting">
            <WaitingWords words={job.waiting} />
          </p>
        )}
        <Progress value={job.completed} of={job.rounds} label={t('jobs.rounds')} />
        <Refit of={job.job} />
        <Controls key={job.status} job={job} onDone={reload} />
      </Panel>
      <Tiles job={job} story={story} />
      {story !== undefined && Object.keys(story.tested).length > 0 && <Tested tested={story.tested} />}
      <Panel title={t('curves.title')}>
        {story === undefined || story.points.length === 0 ? <Empty icon="jobs" title={t('curves.none')} /> : <JobCurves key={job.job} job={story} />}
      </Panel>
      <Rounds story={story} />
      <Panel title={t('job.plan')}>
        <details>
          <summary>{t('job.plan_show')}</summary>
          <pre tabIndex={0}>{JSON.stringify(job.plan, shortest, 2)}</pre>
        </details>
      </Panel>
    </>
  );
}

function Under({ job }: { job: JobView }) {
  const { t } = useTranslation();
  const { name } = useHere();
  return (
    <>
      {job.plan.strategy.name} · {t('job.seed', { seed: job.seed })}
      {job.refit_of != null && (
        <>
          {' · '}
          <Link to={address(name, 'jobs', job.refit_of)}>{t('jobs.refit_of', { job: job.refit_of })}</Link>
        </>
      )}
    </>
  );
}

/** The job that has trained this one's model again, with validation rows, if there is one: its figures on test rows are there. */
function Refit({ of }: { of: number }) {
  const { t } = useTranslation();
  const { name } = useHere();
  const refit = [...useStory().jobs.values()].find((job) => job.refitOf === of);
  if (refit === undefined) return null;
  return (
    <p>
      <Link to={address(name, 'jobs', refit.job)}>{t('job.refitted', { job: refit.job })}</Link>
    </p>
  );
}

/** What may be done in each state. */
const ACTIONS: Partial<Record<JobView['status'], JobAction[]>> = {
  created: ['start', 'train', 'abort'],
  running: ['pause', 'stop', 'abort'],
  paused: ['resume', 'train', 'aggregate', 'stop', 'abort'],
};

function Controls({ job, onDone }: { job: JobView; onDone: () => void }) {
  const { t } = useTranslation();
  const { name, mayAct } = useHere();
  const [rounds, setRounds] = useState('');
  const [aborting, setAborting] = useState(false);
  const act = useAction(async (action: JobAction) => {
    const some = rounds !== '' && (action === 'start' || action === 'resume');
    await post(under(name, 'jobs', job.job, action), some ? { rounds: Number(rounds) } : {});
    setAborting(false);
    onDone();
  });
  const open = job.round?.round.includes('-train-') === true;
  const actions = (ACTIONS[job.status] ?? []).filter((action) => (action === 'aggregate' ? open : action !== 'train' || !open));
  if (actions.length === 0 || !mayAct) return null;
  const goes = actions.some((action) => action === 'start' || action === 'resume');
  return (
    <>
      <div className="controls">
        {goes && <Field label={t('job.rounds')} type="number" value={rounds} onChange={setRounds} placeholder={t('job.all_rounds')} />}
        {actions.map((action) => (
          <Button
            key={action}
            look={action === 'start' || action === 'resume' || action === 'aggregate' ? 'first' : action === 'abort' ? 'danger' : 'plain'}
            isDisabled={act.busy}
            onPress={() => (action === 'abort' ? setAborting(true) : void act.run(action))}
          >
            {t(`action.${action}`)}
          </Button>
        ))}
      </div>
      {act.failure !== undefined && <Failure>{act.failure}</Failure>}
      <Dialog open={aborting} title={t('job.abort_title', { job: job.job })} onClose={() => setAborting(false)}>
        <p>{t('job.abort_what')}</p>
        <div className="dialog-foot">
          <Button onPress={() => setAborting(false)}>{t('common.cancel')}</Button>
          <Button look="danger" onPress={() => void act.run('abort')}>
            {t('action.abort')}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

function Tiles({ job, story }: { job: JobView; story: JobStory | undefined }) {
  const { t, i18n } = useTranslation();
  const name = useFigureName();
  const last = story?.points.at(-1);
  return (
    <dl className="tiles">
      <Tile label={t('overview.rounds')} value={count(job.completed, i18n.language)} under={t('overview.of_rounds', { count: job.rounds })} />
      <Tile label={name(LOSS)} value={figure(last?.loss, i18n.language)} under={last === undefined ? undefined : t('job.after_round', { round: last.round })} />
      {job.best != null && <Tile label={t('job.best', { metric: name(job.best.metric) })} value={figure(job.best.value, i18n.language)} under={t('job.after_round', { round: job.best.round })} />}
      <Tile label={t('job.bytes')} value={bytes(story?.bytes ?? 0, i18n.language)} />
      {job.version != null && <Tile label={t('jobs.version')} value={job.version} />}
      {job.trained != null && <Tile label={t('job.trained')} value={<span className="small">{t(`stop.${job.trained as 'rounds'}`, { defaultValue: job.trained })}</span>} />}
    </dl>
  );
}

/** What the final model came to on test rows, and what was learned otherwise from the same rows. */
function Tested({ tested }: { tested: JobStory['tested'] }) {
  const { t, i18n } = useTranslation();
  const { name: federation } = useHere();
  const name = useFigureName();
  const baselines = useBaselines(federation);
  const metrics = [...new Set(Object.values(tested).flatMap(Object.keys))].sort();
  const head = (
    <>
      <th>{t('job.model')}</th>
      {metrics.map((metric) => (
        <th key={metric} className="number">
          {name(metric)}
        </th>
      ))}
    </>
  );
  return (
    <Panel flush title={t('job.tested')}>
      <Table label={t('job.tested')} head={head}>
        {[...Object.entries(tested), ...baselines].map(([model, figures]) => (
          <tr key={model}>
            <th scope="row">{t(`model.${model as 'global'}`, { defaultValue: model })}</th>
            {metrics.map((metric) => (
              <td key={metric} className="number">
                {figure(figures[metric], i18n.language)}
              </td>
            ))}
          </tr>
        ))}
      </Table>
    </Panel>
  );
}

function Rounds({ story }: { story: JobStory | undefined }) {
  const { t } = useTranslation();
  const { name } = useHere();
  const rounds = story?.rounds.slice(-SHOWN).reverse() ?? [];
  if (rounds.length === 0) {
    return (
      <Panel title={t('job.list')}>
        <Empty icon="jobs" title={t('job.no_round')} />
      </Panel>
    );
  }
  const head = (
    <>
      <th>{t('round.round')}</th>
      <th>{t('round.outcome')}</th>
      <th className="number">{t('round.answers')}</th>
      <th className="number">{t('round.loss')}</th>
      <th className="number">{t('round.bytes')}</th>
      <th className="number">{t('round.took')}</th>
      <th className="number">{t('round.opened')}</th>
    </>
  );
  return (
    <Panel flush title={t('job.list')} actions={<span className="muted">{t('job.newest', { count: rounds.length })}</span>}>
      <Table label={t('job.list')} head={head}>
        {rounds.map((round) => (
          <RoundRow key={round.id} round={round} to={address(name, 'rounds', round.id)} />
        ))}
      </Table>
    </Panel>
  );
}

function RoundRow({ round, to }: { round: Round; to: string }) {
  const { t, i18n } = useTranslation();
  const { at } = useStory();
  return (
    <tr data-round={round.id}>
      <th scope="row">
        <Link to={to}>{t(`kind.${round.kind}`, { ordinal: round.ordinal })}</Link>
        {round.attempt > 1 && <span className="muted"> {t('round.attempt', { attempt: round.attempt })}</span>}
      </th>
      <td>
        <RoundBadge outcome={round.outcome} />
      </td>
      <td className="number">
        {count(round.reported, i18n.language)} / {count(round.asked, i18n.language)}
      </td>
      <td className="number">{round.loss === undefined ? '–' : figure(round.loss, i18n.language)}</td>
      <td className="number">{round.bytes === 0 ? '–' : bytes(round.bytes, i18n.language)}</td>
      <td className="number">{duration((round.ended ?? at) - round.opened, i18n.language)}</td>
      <td className="number">{clock(round.opened)}</td>
    </tr>
  );
}
