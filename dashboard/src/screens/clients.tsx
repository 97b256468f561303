// The clients: how each stands, what it says, and who may join. A page of them at a time, however many there are.
import { memo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useSearchParams } from 'react-router';
import type { ClientState, ClientView, FederationView } from '../api/types';
import { Button, SearchField, Select } from '../components/controls';
import { DemoPanel } from '../components/demo';
import { NotYet } from '../components/guard';
import { Icon } from '../components/icon';
import { PageButtons, usePages } from '../components/pages';
import { Empty, Panel, Table, Top } from '../components/pieces';
import { ClientBadge } from '../components/state';
import { OwnWords, useAgo } from '../components/words';
import { useHere } from '../federation';
import { bytes, count, rows } from '../format';
import { present, STATES, total } from '../members';
import { useSettled, useTitle } from '../use';
import { ClientDialog } from './client';
import { Invite } from './invite';

/** How many clients a page shows. */
const PAGE = 50;

export function Clients() {
  const { t } = useTranslation();
  const { name, view, mayAct } = useHere();
  const [address, setAddress] = useSearchParams();
  const [inviting, setInviting] = useState(address.has('invite'));
  useTitle(t('nav.clients'), name);
  const invite = mayAct && (
    <Button look="first" onPress={() => setInviting(true)}>
      <Icon name="plus" />
      {t('clients.invite')}
    </Button>
  );
  const close = () => {
    setInviting(false);
    if (address.has('invite')) setAddress({}, { replace: true });
  };
  return (
    <>
      <Top title={t('nav.clients')} under={view === undefined ? undefined : t('clients.under', { present: present(view), count: total(view) })} actions={invite} />
      <DemoPanel />
      {view !== undefined && total(view) === 0 ? (
        <Empty icon="clients" title={t('clients.none')}>
          <p>{t('clients.none_hint')}</p>
          {invite}
        </Empty>
      ) : (
        <Found first={address.get('search') ?? ''} />
      )}
      <Invite open={inviting && mayAct} onClose={close} />
    </>
  );
}

function Found({ first }: { first: string }) {
  const { t } = useTranslation();
  const { view, snapshot } = useHere();
  const [search, setSearch] = useState(first);
  const [state, setState] = useState<ClientState | 'all'>('all');
  const [chosen, setChosen] = useState<string>();
  const wanted = useSettled(search, 200);
  const { changes } = snapshot.story;
  const query = { ...(wanted === '' ? {} : { search: wanted }), ...(state === 'all' ? {} : { state }) };
  const pages = usePages(PAGE, query, `${changes.clients} ${changes.jobs}`, 2000);
  return (
    <Panel
      flush
      title={t('clients.list')}
      actions={
        <>
          <Filters search={search} onSearch={setSearch} state={state} onState={setState} counts={view?.clients} onChange={pages.first} />
        </>
      }
    >
      {pages.page === undefined ? (
        <NotYet error={pages.error} />
      ) : pages.page.length === 0 ? (
        <Empty icon="search" title={t('clients.nobody')} />
      ) : (
        <Rows clients={pages.page} onShow={setChosen} />
      )}
      <PageButtons pages={pages} />
      <ClientDialog name={chosen} onClose={() => setChosen(undefined)} onChanged={pages.reload} />
    </Panel>
  );
}

interface FiltersProps {
  search: string;
  onSearch: (text: string) => void;
  state: ClientState | 'all';
  onState: (state: ClientState | 'all') => void;
  counts: FederationView['clients'] | undefined;
  /** Whatever is chosen, its first page is shown. */
  onChange: () => void;
}

const Filters = memo(function Filters({ search, onSearch, state, onState, counts, onChange }: FiltersProps) {
  const { t } = useTranslation();
  const options = (['all', ...STATES] as const).map((id) => ({ id, label: id === 'all' ? t('clients.all') : `${t(`client_state.${id}`)} (${counts?.[id] ?? 0})` }));
  return (
    <>
      <SearchField label={t('clients.search')} value={search} onChange={(text) => (onSearch(text), onChange())} />
      <Select label={t('clients.state')} value={state} options={options} onChange={(state) => (onState(state), onChange())} />
    </>
  );
});

const Rows = memo(function Rows({ clients, onShow }: { clients: ClientView[]; onShow: (client: string) => void }) {
  const { t } = useTranslation();
  const sites = clients.some((client) => client.site);
  const head = (
    <>
      <th>{t('clients.client')}</th>
      <th>{t('clients.state')}</th>
      <th className="number">{t('clients.rows')}</th>
      <th className="number" title={t('clients.rounds_hint')}>
        {t('clients.rounds')}
      </th>
      <th className="number" title={t('clients.up_hint')}>
        {t('clients.up')}
      </th>
      <th className="number" title={t('clients.down_hint')}>
        {t('clients.down')}
      </th>
      <th className="number">{t('clients.seen')}</th>
      {sites && <th>{t('clients.site')}</th>}
      <th>{t('clients.says')}</th>
    </>
  );
  return (
    <Table label={t('clients.list')} head={head}>
      {clients.map((client) => (
        <Row key={client.client} client={client} sites={sites} onShow={onShow} />
      ))}
    </Table>
  );
});

interface RowProps {
  client: ClientView;
  /** Whether there is a column for sites. */
  sites: boolean;
  onShow: (client: string) => void;
}

/** A client in a row. Events come all the time; only rows that say something else are made again. */
const Row = memo(function Row({ client, sites, onShow }: RowProps) {
  const { t, i18n } = useTranslation();
  const has = rows(client.facts);
  const { asked, answered, bytes_up: up } = client.tasks;
  const size = (value: number) => (value === 0 ? '–' : bytes(value, i18n.language));
  const seen = seenS(client);
  const ago = useAgo();
  return (
    <tr data-client={client.client} data-state={client.state}>
      <th scope="row">
        <button type="button" className="button quiet link" onClick={() => onShow(client.client)}>
          {client.client}
        </button>
      </th>
      <td>
        <ClientBadge state={client.state} />
      </td>
      <td className="number">{has === undefined ? '–' : count(has, i18n.language)}</td>
      <td className="number">{asked === 0 ? '–' : t('clients.rounds_of', { answered, asked })}</td>
      <td className="number">{size(up)}</td>
      <td className="number">{size(client.bytes_down ?? 0)}</td>
      <td className="number">{seen === undefined ? '–' : ago(seen)}</td>
      {sites && <td>{client.site}</td>}
      <td className="words">{client.reason !== '' && <OwnWords words={client.reason} />}</td>
    </tr>
  );
}, isSaidAlready);

/** How long ago it was heard of, in whole seconds. */
function seenS({ last_seen_s: seen }: ClientView): number | undefined {
  return seen == null ? undefined : Math.floor(seen);
}

function isSaidAlready(before: RowProps, now: RowProps): boolean {
  const said = (client: ClientView) => JSON.stringify([client.client, client.state, client.reason, client.site, client.tasks, client.bytes_down, client.facts['rows'], seenS(client)]);
  return before.sites === now.sites && before.onShow === now.onShow && said(before.client) === said(now.client);
}
