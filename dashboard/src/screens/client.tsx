// One client: what it says of itself, what it did, and what can be done about it.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { post, send, under } from '../api/client';
import type { ClientView } from '../api/types';
import { Button, Dialog, Field } from '../components/controls';
import { NotYet } from '../components/guard';
import { Failure } from '../components/pieces';
import { ClientBadge } from '../components/state';
import { OwnWords } from '../components/words';
import { useHere, useStory } from '../federation';
import { clock, duration } from '../format';
import { useAction, useResource } from '../use';

interface Props {
  name: string | undefined;
  onClose: () => void;
  onChanged: () => void;
}

export function ClientDialog({ name, onClose, onChanged }: Props) {
  return (
    <Dialog open={name !== undefined} title={name ?? ''} onClose={onClose}>
      {name !== undefined && <Client key={name} name={name} onAway={() => (onClose(), onChanged())} />}
    </Dialog>
  );
}

function Client({ name, onAway }: { name: string; onAway: () => void }) {
  const { t, i18n } = useTranslation();
  const { name: federation, snapshot, mayAct } = useHere();
  const path = under(federation, 'clients', name);
  const { data: client, error } = useResource<ClientView>(path, snapshot.story.changes.clients, 2000);
  if (client === undefined) return <NotYet error={error} />;
  const facts = Object.entries(client.facts).sort(([a], [b]) => a.localeCompare(b));
  return (
    <div className="client">
      <dl className="facts">
        <dt>{t('clients.state')}</dt>
        <dd>
          <ClientBadge state={client.state} />
        </dd>
        {client.task != null && <Fact name={t('clients.task')} value={client.task} />}
        {client.last_seen_s != null && <Fact name={t('clients.seen')} value={t('clients.ago', { time: duration(Math.floor(client.last_seen_s) * 1000, i18n.language) })} />}
        {client.lease_ends_in_s != null && <Fact name={t('clients.lease')} value={t('clients.ends_in', { time: duration(client.lease_ends_in_s * 1000, i18n.language) })} />}
        <Fact name={t('clients.joins')} value={String(client.epoch)} />
        {facts.map(([fact, value]) => (
          <Fact key={fact} name={t(`fact.${fact as 'rows'}`, { defaultValue: fact })} value={typeof value === 'string' ? value : JSON.stringify(value)} />
        ))}
      </dl>
      {client.reason !== '' && (
        <p>
          <OwnWords words={client.reason} />
        </p>
      )}
      <Complaints of={name} />
      {mayAct && client.state !== 'evicted' && <Away path={path} onDone={onAway} />}
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function Complaints({ of }: { of: string }) {
  const { t } = useTranslation();
  const said = useStory().complaints.filter((complaint) => complaint.client === of).slice(-5).reverse();
  if (said.length === 0) return null;
  return (
    <>
      <h3>{t('clients.complaints')}</h3>
      <ul className="complaints">
        {said.map((complaint) => (
          <li key={complaint.sequence}>
            <span className="muted">
              {clock(complaint.at)} {complaint.round}
            </span>
            <OwnWords words={complaint.reason} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** Sends the client away for good, or lets its name be joined by another. */
function Away({ path, onDone }: { path: string; onDone: () => void }) {
  const { t } = useTranslation();
  const [reason, setReason] = useState('');
  const evict = useAction(async () => {
    await send('DELETE', path, { reason });
    onDone();
  });
  const release = useAction(async () => {
    await post(`${path}/release`);
    onDone();
  });
  const failure = evict.failure ?? release.failure;
  return (
    <div className="away">
      <h3>{t('evict.title')}</h3>
      <Field label={t('evict.reason')} value={reason} onChange={setReason} hint={t('evict.hint')} />
      {failure !== undefined && <Failure>{failure}</Failure>}
      <div className="dialog-foot">
        <Button onPress={() => void release.run()} isDisabled={release.busy}>
          {t('evict.release')}
        </Button>
        <Button look="danger" onPress={() => void evict.run()} isDisabled={evict.busy || reason.trim() === ''}>
          {t('evict.do')}
        </Button>
      </div>
    </div>
  );
}
