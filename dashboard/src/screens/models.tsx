// Model versions: where each comes from, how good it is, and which one is in production.
import { useState, type SubmitEvent } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { send, under } from '../api/client';
import type { AliasView, VersionView } from '../api/types';
import { VersionsChart } from '../chart/versions-chart';
import { Button, Dialog, Field } from '../components/controls';
import { Figures } from '../components/figures';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { Badge, Empty, Failure, Panel, Table, Top } from '../components/pieces';
import { address, useHere } from '../federation';
import { count, short } from '../format';
import { useAction, useResource, useTitle } from '../use';

/** How many versions a page shows. */
const PAGE = 50;

export function Models() {
  const { t } = useTranslation();
  const { name, view, snapshot } = useHere();
  const [before, setBefore] = useState<number>();
  const [promoting, setPromoting] = useState<number>();
  const query = `limit=${PAGE}${before === undefined ? '' : `&before=${before}`}`;
  const { versions, changes } = snapshot.story;
  const { models } = changes;
  const judged = versions.some(({ validation, tested }) => Object.keys(validation).length > 0 || Object.keys(tested).length > 0);
  const { shown: data, error, reload } = useResource<VersionView[]>(`${under(name, 'models')}?${query}`, models);
  const aliases = useResource<AliasView[]>(under(name, 'aliases'), models);
  useTitle(t('nav.models'), name);
  const changed = () => (reload(), aliases.reload());
  const first = data?.[0]?.version ?? 1;
  return (
    <>
      <Top title={t('nav.models')} under={view === undefined ? undefined : t('models.under', { count: view.versions })} />
      {(aliases.data?.length ?? 0) > 0 && <Aliases aliases={aliases.data ?? []} onChanged={changed} />}
      {judged && (
        <Panel title={t('models.over')}>
          <VersionsChart versions={versions} />
        </Panel>
      )}
      {data === undefined ? (
        <NotYet error={error} />
      ) : data.length === 0 ? (
        <Empty icon="models" title={t('models.none')}>
          <p>{t('models.none_hint')}</p>
        </Empty>
      ) : (
        <Panel flush title={t('models.list')}>
          <Versions versions={[...data].reverse()} onPromote={setPromoting} />
          {(before !== undefined || first > 1) && (
            <div className="pages">
              <Button isDisabled={before === undefined} onPress={() => setBefore(undefined)}>
                {t('common.newest')}
              </Button>
              <Button isDisabled={first <= 1} onPress={() => setBefore(first)}>
                {t('common.older')}
              </Button>
            </div>
          )}
        </Panel>
      )}
      <Dialog open={promoting !== undefined} title={t('models.promote_title', { version: promoting ?? 0 })} onClose={() => setPromoting(undefined)}>
        {promoting !== undefined && <Promote version={promoting} onDone={() => (setPromoting(undefined), changed())} />}
      </Dialog>
    </>
  );
}

function Aliases({ aliases, onChanged }: { aliases: AliasView[]; onChanged: () => void }) {
  const { t } = useTranslation();
  const { name, mayAct } = useHere();
  const set = useAction(async (alias: string, version: number) => {
    await send('PUT', under(name, 'aliases', alias), { version });
    onChanged();
  });
  return (
    <Panel title={t('models.names')}>
      {set.failure !== undefined && <Failure>{set.failure}</Failure>}
      <ul className="aliases">
        {aliases.map(({ alias, version, previous }) => (
          <li key={alias} data-alias={alias}>
            <strong>{alias}</strong>
            <span>{t('models.stands_for', { version })}</span>
            {previous != null && mayAct && (
              <Button onPress={() => void set.run(alias, previous)} isDisabled={set.busy}>
                {t('models.roll_back', { version: previous })}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Versions({ versions, onPromote }: { versions: VersionView[]; onPromote: (version: number) => void }) {
  const { t, i18n } = useTranslation();
  const { name, mayAct } = useHere();
  const head = (
    <>
      <th>{t('models.version')}</th>
      <th>{t('models.from')}</th>
      <th className="number">{t('models.parameters')}</th>
      <th>{t('models.figures')}</th>
      <th>SHA-256</th>
      <th>
        <span className="heard">{t('models.actions')}</span>
      </th>
    </>
  );
  return (
    <Table label={t('models.list')} head={head}>
      {versions.map((version) => (
        <tr key={version.version} data-version={version.version}>
          <th scope="row">
            <Link to={address(name, 'models', version.version)}>{version.version}</Link>{' '}
            {version.aliases.map((alias) => (
              <Badge key={alias} tone="good">
                {alias}
              </Badge>
            ))}
          </th>
          <td className="from">
            <Link to={address(name, 'jobs', version.job)}>{t('models.made_by', { job: version.job, round: version.round })}</Link>
            {version.parent != null && <span className="muted"> {t('models.parent', { version: version.parent })}</span>}
          </td>
          <td className="number">{count(version.parameters, i18n.language)}</td>
          <td className="figures">
            <Figures sets={Object.entries(version.metrics).map(([rows, metrics]) => [t(`models.${rows as 'evaluate'}`, { defaultValue: rows }), metrics] as const)} />
          </td>
          <td>
            <code title={version.sha256}>{short(version.sha256)}</code>
          </td>
          <td className="row-actions">
            {mayAct && (
              <Button look="quiet" aria-label={t('models.promote_title', { version: version.version })} onPress={() => onPromote(version.version)}>
                {t('models.promote')}
              </Button>
            )}
            <a className="button quiet" href={under(name, 'models', version.version, 'weights')} download={`${name}-${version.version}.safetensors`} aria-label={t('models.download', { version: version.version })}>
              <Icon name="download" />
            </a>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Promote({ version, onDone }: { version: number; onDone: () => void }) {
  const { t } = useTranslation();
  const { name } = useHere();
  const [alias, setAlias] = useState('production');
  const promote = useAction(async () => {
    await send('PUT', under(name, 'aliases', alias.trim()), { version });
    onDone();
  });
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    void promote.run();
  };
  return (
    <form onSubmit={submit}>
      <Field label={t('models.alias')} value={alias} onChange={setAlias} required hint={t('models.alias_hint')} autoFocus />
      {promote.failure !== undefined && <Failure>{promote.failure}</Failure>}
      <div className="dialog-foot">
        <Button look="first" type="submit" isDisabled={promote.busy}>
          {t('models.promote')}
        </Button>
      </div>
    </form>
  );
}
