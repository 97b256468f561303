// One client: what it says of itself, what it did, and what can be done about it.
import { useMemo, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { post, send, under } from '../api/client';
import type { ClientView } from '../api/types';
import { Spark } from '../chart/strip';
import { storyOf, type ClientStory } from '../client-story';
import { Button, Dialog, Field } from '../components/controls';
import { NotYet } from '../components/guard';
import { LabelWords } from '../components/label-words';
import { Failure } from '../components/pieces';
import { ClientBadge } from '../components/state';
import { OwnWords, useAgo } from '../components/words';
import { useHere } from '../federation';
import { bytes, clock, count, duration, figure, rows, share } from '../format';
import type { Complaint } from '../journal/fold';
import { labelsOf } from '../labels';
import { useAction, useResource } from '../use';

interface Props {
  name: string | undefined;
  onClose: () => void;
  onChanged: () => void;
}

export function ClientDialog({ name, onClose, onChanged }: Props) {
  return (
    <Dialog open={name !== undefined} title={name ?? ''} onClose={onClose} wide>
      {name !== undefined && <Client key={name} name={name} onAway={() => (onClose(), onChanged())} />}
    </Dialog>
  );
}

function Client({ name, onAway }: { name: string; onAway: () => void }) {
  const { t } = useTranslation();
  const { name: federation, snapshot, at, mayAct } = useHere();
  const { story, entries } = snapshot;
  const path = under(federation, 'clients', name);
  const { data: client, error } = useResource<ClientView>(path, story.changes.clients, 2000);
  const { job, losses, complaints } = useMemo(() => storyOf(name, entries, story.complaints), [name, entries, story.complaints]);
  if (client === undefined) return <NotYet error={error} />;
  return (
    <div className="client">
      <Standing client={client} />
      <h3>{t('clients.work')}</h3>
      <Work client={client} />
      {job !== undefined && losses.length > 0 && <Loss job={job} losses={losses} />}
      {/* What sites told once is in no journal. */}
      {at === undefined && (
        <>
          <h3>{t('clients.data')}</h3>
          <Told facts={client.facts} />
          <Device facts={client.facts} />
        </>
      )}
      {complaints.length > 0 && <Complaints complaints={complaints} />}
      {mayAct && client.state !== 'evicted' && <Away path={path} onDone={onAway} />}
    </div>
  );
}

function Fact({ name, value, hint }: { name: string; value: ReactNode; hint?: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        {value} {hint !== undefined && <span className="muted">{hint}</span>}
      </dd>
    </>
  );
}

function Standing({ client }: { client: ClientView }) {
  const { t, i18n } = useTranslation();
  const ago = useAgo();
  return (
    <>
      <dl className="facts">
        <Fact name={t('clients.state')} value={<ClientBadge state={client.state} />} />
        {client.site && <Fact name={t('clients.site')} value={client.site} />}
        {client.task != null && <Fact name={t('clients.task')} value={client.task} />}
        {client.last_seen_s != null && <Fact name={t('clients.seen')} value={ago(client.last_seen_s)} />}
        {client.lease_ends_in_s != null && <Fact name={t('clients.lease')} value={t('clients.ends_in', { time: duration(client.lease_ends_in_s * 1000, i18n.language) })} />}
        <Fact name={t('clients.joins')} value={count(client.epoch, i18n.language)} />
      </dl>
      {client.reason !== '' && (
        <p>
          <OwnWords words={client.reason} />
        </p>
      )}
    </>
  );
}

/** What came of its training tasks, and what went to and fro. */
function Work({ client: { tasks, bytes_down: down } }: { client: ClientView }) {
  const { t, i18n } = useTranslation();
  const { asked, answered, declined, bytes_up: up } = tasks;
  return (
    <dl className="facts">
      <Fact name={t('clients.rounds')} value={t('clients.rounds_of', { answered, asked })} hint={declined > 0 ? t('clients.declined', { count: declined }) : t('clients.rounds_hint')} />
      <Fact name={t('clients.up')} value={bytes(up, i18n.language)} hint={t('clients.up_hint')} />
      {down != null && <Fact name={t('clients.down')} value={bytes(down, i18n.language)} hint={t('clients.down_hint')} />}
    </dl>
  );
}

function Loss({ job, losses }: { job: number; losses: ClientStory['losses'] }) {
  const { t, i18n } = useTranslation();
  const [first, last] = [losses[0], losses.at(-1)];
  if (first === undefined || last === undefined) return null;
  const [from, to] = [figure(first[1], i18n.language), figure(last[1], i18n.language)];
  return (
    <figure className="loss">
      <figcaption className="muted">{t('clients.loss', { job })}</figcaption>
      <Spark points={losses} label={t('clients.loss_label', { job, first: first[0], from, last: last[0], to })} />
      <div className="bars-ends" aria-hidden="true">
        <span>{t('clients.loss_end', { round: first[0], value: from })}</span>
        <span>{t('clients.loss_end', { round: last[0], value: to })}</span>
      </div>
    </figure>
  );
}

/** What the site tells of its data. */
function Told({ facts }: { facts: ClientView['facts'] }) {
  const { t, i18n } = useTranslation();
  const [has, labels] = [rows(facts), labelsOf(facts)];
  return (
    <dl className="facts">
      <Fact name={t('clients.rows')} value={has === undefined ? t('data.untold') : count(has, i18n.language)} />
      <Fact name={t('data.labels')} value={labels === undefined ? t('data.untold') : <LabelWords labels={labels} />} />
    </dl>
  );
}

const SIZES = ['memory_mb', 'free_memory_mb', 'free_disk_mb'];
/** What is shown elsewhere. */
const OF_DATA = ['rows', 'labels'];

/** What its site says of its machine, each with its unit. */
function Device({ facts }: { facts: ClientView['facts'] }) {
  const { t, i18n } = useTranslation();
  const words = ([fact, value]: [string, unknown]) => {
    if (typeof value === 'number' && SIZES.includes(fact)) return bytes(value * 1_000_000, i18n.language);
    if (typeof value === 'number' && fact === 'load') return share(value, i18n.language);
    if (typeof value === 'number') return count(value, i18n.language);
    return typeof value === 'string' ? value : JSON.stringify(value);
  };
  const told = Object.entries(facts).filter(([fact]) => !OF_DATA.includes(fact));
  if (told.length === 0) return null;
  return (
    <>
      <h3>{t('clients.device')}</h3>
      <dl className="facts">
        {told.sort(([a], [b]) => a.localeCompare(b)).map(([fact, value]) => (
          <Fact key={fact} name={t(`fact.${fact as 'os'}`, { defaultValue: fact })} value={words([fact, value])} />
        ))}
      </dl>
    </>
  );
}

function Complaints({ complaints }: { complaints: readonly Complaint[] }) {
  const { t } = useTranslation();
  return (
    <>
      <h3>{t('clients.complaints')}</h3>
      <ul className="complaints" tabIndex={0} aria-label={t('clients.complaints')}>
        {complaints.map((complaint) => (
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
