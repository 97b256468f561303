// One model version: where it comes from, and how it differs from another.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link, useParams, useSearchParams } from 'react-router';
import { under } from '../api/client';
import { useFigureName } from '../chart/plot';
import { change, namesOf, setting } from '../compare';
import { Combo } from '../components/combo';
import { Copy } from '../components/copy';
import { Differences } from '../components/differences';
import { Icon } from '../components/icon';
import { Badge, Empty, Loading, Panel, Table, Tile, Top } from '../components/pieces';
import { address, useHere, useStory } from '../federation';
import { count, figure, short } from '../format';
import type { Version as VersionStory } from '../journal/fold';
import { lineage, parameters, type Step } from '../lineage';
import { useTitle } from '../use';

/** Versions that are suggested at a time. */
const SUGGESTED = 12;

export function Version() {
  const { t, i18n } = useTranslation();
  const { version: id = '' } = useParams();
  const { name } = useHere();
  const story = useStory();
  useTitle(t('models.number', { version: id }), name);
  const [query, setQuery] = useSearchParams();
  const version = story.versions[Number(id) - 1];
  if (story.sequence === 0) return <Loading />;
  if (version === undefined) return <Empty icon="models" title={t('models.missing', { version: id })} />;
  const other = story.versions[Number(query.get('with') ?? Number.NaN) - 1];
  const aliases = [...story.aliases].filter(([, named]) => named === version.version).map(([alias]) => alias);
  const size = parameters(layoutOf(story.jobs.get(version.job)?.plan));
  return (
    <>
      <Top
        title={t('models.number', { version: version.version })}
        under={<From version={version} />}
        actions={
          <>
            {aliases.map((alias) => (
              <Badge key={alias} tone="good">
                {alias}
              </Badge>
            ))}
            <a className="button plain" href={under(name, 'models', version.version, 'weights')} download={`${name}-${version.version}.safetensors`}>
              <Icon name="download" />
              safetensors
            </a>
          </>
        }
      />
      <dl className="tiles">
        <Tile label={t('models.parameters')} value={size === undefined ? '–' : count(size, i18n.language)} />
        <Tile label={t('models.parent_label')} value={version.parent === null ? '–' : <Link to={address(name, 'models', version.parent)}>{version.parent}</Link>} />
      </dl>
      <Copy text={version.sha256} label="SHA-256" />
      <Panel flush={other !== undefined} title={t('models.with')} actions={<Choose of={version.version} onChoose={(other) => setQuery({ with: String(other) }, { replace: true })} />}>
        {other === undefined ? <p className="muted">{t('models.with_hint')}</p> : <Beside a={version} b={other} />}
      </Panel>
      {other !== undefined && <PlansOf a={version} b={other} />}
      <Panel title={t('models.lineage')}>
        <p className="muted">{t('models.lineage_hint')}</p>
        <ol className="lineage">
          {lineage(story, version.version).map((step) => (
            <li key={'between' in step ? `before ${step.newest}` : step.version.version} data-step={'between' in step ? 'between' : step.version.version}>
              <StepWords step={step} />
            </li>
          ))}
        </ol>
      </Panel>
    </>
  );
}

/** What a plan that the journal has says of the model's tensors. */
function layoutOf(plan: object | undefined): unknown {
  return plan !== undefined && 'layout' in plan ? plan.layout : undefined;
}

function From({ version: { job, round } }: { version: VersionStory }) {
  const { t } = useTranslation();
  const { name } = useHere();
  const refitOf = useStory().jobs.get(job)?.refitOf;
  return (
    <>
      <Link to={address(name, 'jobs', job)}>{t('models.made_by', { job, round })}</Link>
      {refitOf != null && <> · {t('jobs.refit_of', { job: refitOf })}</>}
    </>
  );
}

/** Which version this one is to be held against: by its number, by a name, or by its job. */
function Choose({ of, onChoose }: { of: number; onChoose: (version: number) => void }) {
  const { t } = useTranslation();
  const { versions, aliases } = useStory();
  const [text, setText] = useState('');
  const named = [...aliases].map(([alias, version]) => ({ id: String(version), label: t('models.named', { version, alias }) }));
  const plain = versions.map(({ version, job, round }) => ({ id: String(version), label: t('models.made', { version, job, round }) })).reverse();
  const taken = new Set([String(of)]);
  const options = [...named, ...plain].filter(({ id, label }) => !taken.has(id) && label.toLowerCase().includes(text.trim().toLowerCase()) && taken.add(id)).slice(0, SUGGESTED);
  return <Combo label={t('models.choose')} text={text} onText={setText} options={options} onChoose={(id) => onChoose(Number(id))} />;
}

/** Two versions, figure by figure, and by how much they differ. */
function Beside({ a, b }: { a: VersionStory; b: VersionStory }) {
  const { t, i18n } = useTranslation();
  const { name } = useHere();
  const figureName = useFigureName();
  const story = useStory();
  const sets = (version: VersionStory) => ({ validation: version.validation, ...version.tested });
  const [first, second] = [sets(a), sets(b)] as Record<string, Record<string, number>>[];
  const keys = [...new Set([...Object.keys(first ?? {}), ...Object.keys(second ?? {})])];
  const rows = keys.flatMap((set) => namesOf([first?.[set] ?? {}, second?.[set] ?? {}]).map((metric) => ({ set, metric, was: first?.[set]?.[metric], is: second?.[set]?.[metric] })));
  const size = (version: VersionStory) => parameters(layoutOf(story.jobs.get(version.job)?.plan));
  const signed = (by: number) => `${by > 0 ? '+' : ''}${figure(by, i18n.language)}`;
  const label = (set: string) => (set === 'validation' ? t('models.evaluate') : t('models.test_of', { model: t(`model.${set as 'global'}`, { defaultValue: set }) }));
  const head = (
    <>
      <th>{t('models.figures')}</th>
      {[a, b].map(({ version }) => (
        <th key={version} className="number">
          <Link to={address(name, 'models', version)}>{t('models.number', { version })}</Link>
        </th>
      ))}
      <th className="number">{t('models.difference')}</th>
      <th>{t('models.better')}</th>
    </>
  );
  return (
    <Table label={t('models.with')} head={head}>
      {rows.map(({ set, metric, was, is }) => {
        const changed = change(metric, was, is);
        return (
          <tr key={`${set} ${metric}`} data-figure={`${set} ${metric}`}>
            <th scope="row">
              {figureName(metric)} <span className="muted">{label(set)}</span>
            </th>
            <td className="number">{figure(was, i18n.language)}</td>
            <td className="number">{figure(is, i18n.language)}</td>
            <td className="number">{changed === undefined ? '–' : signed(changed.by)}</td>
            <td>{changed !== undefined && changed.better !== 'neither' && <Badge tone="good">{t('models.number', { version: (changed.better === 'first' ? a : b).version })}</Badge>}</td>
          </tr>
        );
      })}
      <tr>
        <th scope="row">{t('models.parameters')}</th>
        {[a, b].map((version) => (
          <td key={version.version} className="number">
            {size(version) === undefined ? '–' : count(size(version) ?? 0, i18n.language)}
          </td>
        ))}
        <td className="number">{count((size(b) ?? 0) - (size(a) ?? 0), i18n.language)}</td>
        <td />
      </tr>
      <tr>
        <th scope="row">SHA-256</th>
        {[a, b].map(({ version, sha256 }) => (
          <td key={version} className="number">
            <code title={sha256}>{short(sha256)}</code>
          </td>
        ))}
        <td className="number">{t(a.sha256 === b.sha256 ? 'models.same_bytes' : 'models.other_bytes')}</td>
        <td />
      </tr>
    </Table>
  );
}

function PlansOf({ a, b }: { a: VersionStory; b: VersionStory }) {
  const { t } = useTranslation();
  const { jobs } = useStory();
  const [first, second] = [jobs.get(a.job), jobs.get(b.job)];
  if (first === undefined || second === undefined) return null;
  return <Differences names={[a, b].map(({ version, job }) => t('models.plan_of', { version, job }))} settings={[setting(first), setting(second)]} />;
}

function StepWords({ step }: { step: Step }) {
  const { t, i18n } = useTranslation();
  const { name } = useHere();
  const figureName = useFigureName();
  if ('between' in step) return <span className="muted">{t('models.between', { count: step.between })}</span>;
  const { version, names, chosenBy } = step;
  const figures = Object.entries(version.tested['global'] ?? version.validation).map(([metric, value]) => `${figureName(metric)} ${figure(value, i18n.language)}`);
  return (
    <>
      <Link to={address(name, 'models', version.version)}>{t('models.number', { version: version.version })}</Link>
      {names.map((alias) => (
        <Badge key={alias} tone="good">
          {alias}
        </Badge>
      ))}
      <span className="muted">
        {version.round === 0 ? t('models.initial', { job: version.job }) : t('models.made_by', { job: version.job, round: version.round })}
        {figures.length > 0 && <> · {figures.join(' · ')}</>}
      </span>
      {chosenBy !== undefined && (
        <span className="chosen">
          <Link to={address(name, 'jobs', chosenBy)}>{t('models.chosen_by', { job: chosenBy })}</Link>
        </span>
      )}
    </>
  );
}
