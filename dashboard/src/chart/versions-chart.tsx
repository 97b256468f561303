// What model versions came to: a line for each job on validation rows, and what was tested.
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';
import { count, csv } from '../format';
import { namesOf } from '../compare';
import type { Version } from '../journal/fold';
import type { Axis } from './option';
import { Plot, useFigure } from './plot';
import { MAIN, otherLook, type Look, type Series } from './series';

/** The newest jobs that have figures have lines. */
const JOBS = 6;

type T = ReturnType<typeof useTranslation>['t'];

export function VersionsChart({ versions }: { versions: readonly Version[] }) {
  const { t, i18n } = useTranslation();
  const names = useMemo(() => namesOf(versions.flatMap(({ validation, tested }) => [validation, ...Object.values(tested)])), [versions]);
  const [figure, choose] = useFigure(names);
  const series = useMemo(() => lines(versions, figure, t), [versions, figure, t]);
  const x = useMemo((): Axis => ({ name: t('models.version'), format: (version) => count(version, i18n.language), whole: true }), [t, i18n.language]);
  const files = { name: 'models', table: () => csv(table(versions, names)) };
  return <Plot figures={names} figure={figure} onFigure={choose} series={series} x={x} files={files} />;
}

function lines(versions: readonly Version[], figure: string, t: T): Series[] {
  const jobs = new Map<number, (readonly [number, number])[]>();
  const tests = new Map<string, (readonly [number, number])[]>();
  const add = <K,>(to: Map<K, (readonly [number, number])[]>, key: K, version: number, value: number | undefined) => {
    if (value !== undefined) to.set(key, [...(to.get(key) ?? []), [version, value]]);
  };
  for (const { version, job, validation, tested } of versions) {
    add(jobs, job, version, validation[figure]);
    for (const [model, figures] of Object.entries(tested)) add(tests, model, version, figures[figure]);
  }
  const newest = [...jobs].slice(-JOBS).map(([job, points]): Series => ({ id: `job ${job}`, name: t('models.validation_of', { job }), look: otherLook(job - 1), points }));
  const tested = [...tests].map(([model, points], i): Series => {
    const mark: Look['mark'] = i === 0 ? 'diamond' : 'rect';
    return { id: `test ${model}`, name: t('models.test_of', { model: t(`model.${model as 'global'}`, { defaultValue: model }) }), look: { ...MAIN, mark, width: 0 }, points };
  });
  return [...newest, ...tested];
}

/** A row for each version. */
function table(versions: readonly Version[], names: readonly string[]): (string | number | undefined)[][] {
  const models = [...new Set(versions.flatMap(({ tested }) => Object.keys(tested)))].sort();
  const head = ['version', 'job', 'round', 'parent', 'sha256', ...names.map((name) => `validation_${name}`), ...models.flatMap((model) => names.map((name) => `test_${model}_${name}`))];
  const row = ({ version, job, round, parent, sha256, validation, tested }: Version) => [
    version, job, round, parent ?? undefined, sha256, ...names.map((name) => validation[name]), ...models.flatMap((model) => names.map((name) => tested[model]?.[name])),
  ];
  return [head, ...versions.map(row)];
}
