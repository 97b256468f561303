// The agents of a demo, and a button that kills one: to see that a round goes on. No other server has them.
import { useTranslation } from 'react-i18next';
import { send, under } from '../api/client';
import type { ClientView, DemoAgent, SystemView } from '../api/types';
import { useHere } from '../federation';
import { useAction, useResource } from '../use';
import { Button } from './controls';
import { Icon } from './icon';
import { Badge, Failure, Panel } from './pieces';

export function DemoPanel() {
  const { snapshot, mayAct } = useHere();
  const { data } = useResource<SystemView>(mayAct ? '/v1/system' : undefined, snapshot.line.state);
  return data?.demo == null || data.demo.length === 0 ? null : <Agents first={data.demo} />;
}

function Agents({ first }: { first: readonly DemoAgent[] }) {
  const { t } = useTranslation();
  const { name, snapshot } = useHere();
  const { clients: changes } = snapshot.story.changes;
  const { data, reload } = useResource<SystemView>('/v1/system', changes, 1000);
  const { data: lost } = useResource<ClientView[]>(`${under(name, 'clients')}?state=lost`, changes, 1000);
  const gone = new Set(lost?.map(({ client }) => client));
  return (
    <Panel title={t('demo.title')}>
      <p className="muted">{t('demo.what')}</p>
      <ul className="demo">
        {(data?.demo ?? first).map((agent) => (
          <Agent key={agent.name} agent={agent} lost={agent.clients.filter((client) => gone.has(client)).length} onKilled={reload} />
        ))}
      </ul>
    </Panel>
  );
}

function Agent({ agent, lost, onKilled }: { agent: DemoAgent; lost: number; onKilled: () => void }) {
  const { t } = useTranslation();
  const { name, clients, running } = agent;
  const kill = useAction(async () => {
    await send('POST', `/v1/demo/${encodeURIComponent(name)}/kill`);
    onKilled();
  });
  return (
    <li data-agent={name} data-running={running} data-lost={lost}>
      <span className="demo-agent">
        <strong>{name}</strong>
        <span className="muted">
          {t('demo.clients', { count: clients.length })} <span>{[clients[0], clients.at(-1)].join(' – ')}</span>
        </span>
      </span>
      <span className="demo-state">
        {lost > 0 && <Badge tone="bad">{t('demo.lost', { count: lost })}</Badge>}
        {running ? lost === 0 && <Badge tone="good">{t('demo.running')}</Badge> : <Badge tone="warn">{t('demo.killed')}</Badge>}
      </span>
      <Button look="danger" aria-label={t('demo.kill_which', { agent: name })} isDisabled={!running || kill.busy} onPress={() => void kill.run()}>
        <Icon name="bolt" />
        {t('demo.kill')}
      </Button>
      {kill.failure !== undefined && <Failure>{kill.failure}</Failure>}
    </li>
  );
}
