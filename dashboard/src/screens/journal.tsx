// The journal: every event, word for word, and whether the chain of hashes holds.
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { under } from '../api/client';
import { Button, SearchField, Select } from '../components/controls';
import { Icon } from '../components/icon';
import { Empty, Panel, Top } from '../components/pieces';
import { EventWords } from '../components/words';
import { useHere } from '../federation';
import { clock, count, short } from '../format';
import type { Check } from '../journal/chain';
import type { Entry } from '../journal/entry';
import { EVENT_TYPES } from '../journal/events';
import { KEPT_ENTRIES } from '../journal/feed';
import { useSettled, useTitle } from '../use';

/** How many events a page shows. */
const PAGE = 100;

export function Journal() {
  const { t } = useTranslation();
  const { name, snapshot, reading } = useHere();
  useTitle(t('nav.journal'), name);
  const download = (
    <a className="button plain" href={under(name, 'journal')} download={`${name}.jsonl`}>
      <Icon name="download" />
      {t('journal.export')}
    </a>
  );
  return (
    <>
      <Top title={t('nav.journal')} under={reading === undefined ? t('journal.under', { count: snapshot.story.sequence }) : undefined} actions={download} />
      {reading === undefined && <ChainSign check={snapshot.check} upTo={snapshot.story.sequence} hash={snapshot.story.hash} />}
      <Entries entries={snapshot.entries} />
      {snapshot.story.sequence > KEPT_ENTRIES && <p className="muted">{t('journal.kept', { count: KEPT_ENTRIES })}</p>}
    </>
  );
}

function ChainSign({ check, upTo, hash }: { check: Check; upTo: number; hash: string }) {
  const { t, i18n } = useTranslation();
  return (
    <p className={`chain ${check.state}`} data-chain={check.state}>
      <Icon name={check.state === 'holds' ? 'check' : 'warning'} />
      <span>
        {check.state === 'holds' && t('chain.holds', { upTo: count(Math.min(check.upTo, upTo), i18n.language) })}
        {check.state === 'broken' && t('chain.broken', { at: check.at })}
        {check.state === 'unchecked' && t('chain.unchecked')}
      </span>
      {hash !== '' && <code title={hash}>{short(hash)}</code>}
    </p>
  );
}

function Entries({ entries }: { entries: readonly Entry[] }) {
  const { t } = useTranslation();
  const [search, setSearch] = useState('');
  const [type, setType] = useState<Entry['record']['type'] | 'all'>('all');
  const [page, setPage] = useState(0);
  const wanted = useSettled(search.trim().toLowerCase(), 150);
  const found = useMemo(() => {
    const fits = (entry: Entry) => (type === 'all' || entry.record.type === type) && entry.event.toLowerCase().includes(wanted);
    return wanted === '' && type === 'all' ? entries : entries.filter(fits);
  }, [entries, wanted, type]);
  const end = found.length - page * PAGE;
  const shown = found.slice(Math.max(0, end - PAGE), Math.max(0, end)).reverse();
  const options = (['all', ...EVENT_TYPES] as const).map((id) => ({ id, label: id === 'all' ? t('journal.all') : id }));
  return (
    <Panel
      flush
      title={t('journal.events')}
      actions={
        <>
          <SearchField label={t('journal.search')} value={search} onChange={(text) => (setSearch(text), setPage(0))} />
          <Select label={t('journal.type')} value={type} options={options} onChange={(type) => (setType(type), setPage(0))} />
        </>
      }
    >
      {shown.length === 0 ? (
        <Empty icon="journal" title={t(entries.length === 0 ? 'journal.none' : 'journal.nothing')} />
      ) : (
        <ol className="entries">
          {shown.map((entry) => (
            <li key={entry.sequence}>
              <EntryRow entry={entry} />
            </li>
          ))}
        </ol>
      )}
      {found.length > PAGE && (
        <div className="pages">
          <Button isDisabled={page === 0} onPress={() => setPage(page - 1)}>
            {t('common.newer')}
          </Button>
          <span className="muted">{t('common.page_of', { page: page + 1, count: Math.ceil(found.length / PAGE) })}</span>
          <Button isDisabled={end <= PAGE} onPress={() => setPage(page + 1)}>
            {t('common.older')}
          </Button>
        </div>
      )}
    </Panel>
  );
}

/** An event in one sentence, and its bytes where somebody asks for them. */
function EntryRow({ entry }: { entry: Entry }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)} data-sequence={entry.sequence}>
      <summary>
        <span className="sequence">{entry.sequence}</span>
        <time title={t('journal.time_hint')}>{clock(Number(entry.record.at))}</time>
        <code className="type">{entry.record.type}</code>
        <span className="sentence">
          <EventWords record={entry.record} />
        </span>
      </summary>
      {open && (
        <div className="verbatim">
          <p className="muted">
            SHA-256 <code>{entry.hash}</code>
          </p>
          <pre tabIndex={0}>{entry.event}</pre>
        </div>
      )}
    </details>
  );
}
