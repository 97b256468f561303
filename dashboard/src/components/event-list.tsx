// Events as sentences.
import { useTranslation } from 'react-i18next';
import { clock } from '../format';
import type { Entry } from '../journal/entry';
import { Empty } from './pieces';
import { EventWords } from './words';

export function EventList({ entries }: { entries: readonly Entry[] }) {
  const { t } = useTranslation();
  if (entries.length === 0) return <Empty icon="journal" title={t('journal.none')} />;
  return (
    <ol className="events">
      {entries.map((entry) => (
        <li key={entry.sequence} data-event={entry.record.type}>
          <time title={t('journal.time_hint')}>{clock(Number(entry.record.at))}</time>
          <span>
            <EventWords record={entry.record} />
          </span>
        </li>
      ))}
    </ol>
  );
}
