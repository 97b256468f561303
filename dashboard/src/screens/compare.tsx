// Jobs beside each other: one chart, what their plans do differently, and what they came to.
import { useMemo, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useNavigate, useSearchParams } from 'react-router';
import type { FederationView } from '../api/types';
import type { Axis } from '../chart/option';
import { Plot, useFigure, useFigureName, useRounds } from '../chart/plot';
import { MOST, otherLook, type Series } from '../chart/series';
import { ALONG, best, compareAddress, compared, figuresOf, outlineOf, parseNames, setting, spots, table, took, type Along, type Compared, type JobName } from '../compare';
import { Button, Select } from '../components/controls';
import { Combo } from '../components/combo';
import { Differences } from '../components/differences';
import { Figures } from '../components/figures';
import { NotYet } from '../components/guard';
import { Empty, Loading, Panel, Table, Top } from '../components/pieces';
import { Shell } from '../components/shell';
import { JobBadge } from '../components/state';
import { address, useHere } from '../federation';
import { bytes, count, csv, duration, figure as written } from '../format';
import { useOutlines } from '../journal/use-outlines';
import { useResource, useTitle } from '../use';

/** Jobs of the federation that is looked at, as they go on. */
export function CompareHere() {
  const { name, snapshot } = useHere();
  const [query] = useSearchParams();
  const asked = query.get('jobs') ?? '';
  const names = useMemo(() => parseNames(asked.split(',').map((job) => `${name}:${job}`).join(',')).slice(0, MOST), [asked, name]);
  const { jobs } = snapshot.story;
  const found = useMemo(() => compared(names, () => [...jobs.values()].map(outlineOf)), [names, jobs]);
  return snapshot.story.sequence === 0 ? <Loading /> : <Compare names={names} jobs={found} />;
}

/** Jobs of several federations, as they are when they are read. */
export function CompareAcross() {
  const { t } = useTranslation();
  const [query] = useSearchParams();
  const asked = query.get('of') ?? '';
  const names = useMemo(() => parseNames(asked).slice(0, MOST), [asked]);
  const { jobs, failure, reload } = useOutlines(useMemo(() => [...new Set(names.map(({ federation }) => federation))], [names]));
  const found = useMemo(() => compared(names, (federation) => jobs.get(federation) ?? []), [names, jobs]);
  const all = names.every(({ federation }) => jobs.has(federation));
  return (
    <Shell>
      {!all && failure === undefined && <Loading />}
      {failure !== undefined && <NotYet error={failure} />}
      {(all || found.length > 0) && <Compare names={names} jobs={found} across actions={<Button onPress={reload}>{t('compare.reload')}</Button>} />}
    </Shell>
  );
}

function Compare({ names, jobs, across = false, actions }: { names: readonly JobName[]; jobs: readonly Compared[]; across?: boolean; actions?: ReactNode }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  useTitle(t('compare.title'));
  const called = (job: Compared) => (across ? t('compare.of', { federation: job.federation, job: job.job, recipe: job.outline.plan.name }) : t('jobs.title_of', { job: job.job, recipe: job.outline.plan.name }));
  const figures = useMemo(() => figuresOf(jobs), [jobs]);
  const [figure, choose] = useFigure(figures);
  const go = (names: readonly JobName[]) => void navigate(compareAddress(names), { replace: true });
  const remove = (id: string) => (names.length < 2 ? undefined : () => go(names.filter(({ federation, job }) => `${federation}:${job}` !== id)));
  return (
    <>
      <Top title={t('compare.title')} under={t('compare.under')} actions={actions} />
      <Panel title={t('curves.title')} actions={<Add names={names} onAdd={(added) => go([...names, added])} />}>
        {jobs.length === 0 ? <Empty icon="jobs" title={t('compare.none')} /> : <Curves jobs={jobs} called={called} figures={figures} figure={figure} onFigure={choose} onRemove={remove} />}
      </Panel>
      {jobs.length > 0 && <Outcomes jobs={jobs} called={called} figure={figure} />}
      {jobs.length > 1 && <Differences names={jobs.map(called)} settings={jobs.map(({ outline }) => setting(outline))} />}
    </>
  );
}

/** A job more, of any federation. */
function Add({ names, onAdd }: { names: readonly JobName[]; onAdd: (name: JobName) => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState('');
  const { data } = useResource<FederationView[]>('/v1/federations', names);
  const taken = new Set(names.map(({ federation, job }) => `${federation}:${job}`));
  const every = (data ?? []).flatMap(({ name, jobs }) => Array.from({ length: jobs }, (_, i) => ({ id: `${name}:${jobs - i}`, label: t('compare.job', { federation: name, job: jobs - i }) })));
  const options = every.filter(({ id, label }) => !taken.has(id) && label.toLowerCase().includes(text.trim().toLowerCase())).slice(0, MOST);
  const add = (id: string) => parseNames(id).forEach(onAdd);
  return <Combo label={names.length < MOST ? t('compare.add') : t('curves.full', { count: MOST })} text={text} onText={setText} options={options} onChoose={add} disabled={names.length >= MOST} />;
}

interface Props {
  jobs: readonly Compared[];
  called: (job: Compared) => string;
  figure: string;
}

function Curves({ jobs, called, figures, figure, onFigure, onRemove }: Props & { figures: readonly string[]; onFigure: (figure: string) => void; onRemove: (id: string) => (() => void) | undefined }) {
  const { t, i18n } = useTranslation();
  const [chosen, setAlong] = useState<Along>('round');
  // A simulation of no world takes no time.
  const along = ALONG.filter((one) => one !== 'time' || jobs.some(({ outline }) => took(outline) > 0));
  const shown = along.includes(chosen) ? chosen : 'round';
  const rounds = useRounds();
  const axes: Record<Along, Axis> = {
    round: rounds,
    time: { name: t('compare.time'), format: (ms) => duration(ms, i18n.language) },
    bytes: { name: t('compare.bytes'), format: (value) => bytes(value, i18n.language) },
  };
  const series = jobs.map((job, i): Series => ({ id: job.id, name: called(job), look: otherLook(i), points: spots(job.outline, figure, shown) }));
  const files = { name: 'jobs', table: () => csv(table(jobs)) };
  return (
    <Plot figures={figures} figure={figure} onFigure={onFigure} series={series} x={axes[shown]} files={files} onRemove={onRemove}>
      <Select label={t('compare.along')} value={shown} options={along.map((id) => ({ id, label: t(`compare.along_${id}`) }))} onChange={setAlong} />
    </Plot>
  );
}

/** What each job came to. */
function Outcomes({ jobs, called, figure }: Props) {
  const { t, i18n } = useTranslation();
  const name = useFigureName();
  const bests = jobs.map(({ outline }) => best(outline, figure));
  const head = (
    <>
      <th>{t('jobs.job')}</th>
      <th>{t('jobs.status')}</th>
      <th className="number">{t('jobs.rounds')}</th>
      <th className="number">{t('job.best', { metric: name(figure) })}</th>
      <th className="number">{t('job.bytes')}</th>
      <th className="number">{t('round.took')}</th>
      <th>{t('job.tested')}</th>
    </>
  );
  return (
    <Panel flush title={t('compare.outcomes')}>
      <Table label={t('compare.outcomes')} head={head}>
        {jobs.map((job, i) => {
          const { outline, tested } = job;
          const own = bests[i];
          const tests = Object.entries(tested).map(([model, figures]) => [t(`model.${model as 'global'}`, { defaultValue: model }), figures] as const);
          return (
            <tr key={job.id} data-compared={job.id}>
              <th scope="row">
                <Link to={address(job.federation, 'jobs', job.job)}>{called(job)}</Link>
              </th>
              <td>
                <JobBadge status={outline.status} />
              </td>
              <td className="number">
                {count(outline.points.length, i18n.language)} / {count(outline.plan.rounds, i18n.language)}
              </td>
              <td className="number">
                {written(own?.value, i18n.language)}{' '}
                {own !== undefined && <span className="muted">{t('job.after_round', { round: own.round })}</span>}
              </td>
              <td className="number">{bytes(outline.bytes, i18n.language)}</td>
              <td className="number">{took(outline) === 0 ? '–' : duration(took(outline), i18n.language)}</td>
              <td className="figures">{tests.length === 0 ? '–' : <Figures sets={tests} />}</td>
            </tr>
          );
        })}
      </Table>
    </Panel>
  );
}
