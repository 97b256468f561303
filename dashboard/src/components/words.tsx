// Sentences that are made of what the server says.
import { useTranslation } from 'react-i18next';
import type { JournalRecord } from '../journal/events';
import { sentence, type Sentence } from '../event-words';
import { duration } from '../format';
import { parseWaiting, type Awaited } from '../waiting';

/** What a job waits for. */
export function WaitingWords({ words }: { words: string }) {
  const { t, i18n } = useTranslation();
  const waiting = parseWaiting(words);
  const more = 'more' in waiting && typeof waiting.more === 'string' && waiting.more !== '' ? <OwnWords words={waiting.more} /> : null;
  switch (waiting.key) {
    case 'other':
      return <OwnWords words={waiting.words} />;
    case 'answers': {
      const { round, reported, quorum, awaited, more } = waiting;
      const names = awaited.map((client) => awaitedWords(client)).join(', ');
      return (
        <>
          {t('waiting.answers', { round, reported, quorum })} {names}
          {more > 0 && <> {t('waiting.more', { count: more })}</>}
        </>
      );
    }
    default:
      return (
        <>
          {t(`waiting.${waiting.key}`, { ...waiting })} {more}
        </>
      );
  }

  function awaitedWords({ client, doing, seen, lease }: Awaited): string {
    // Of the past nobody knows when a client was heard of.
    if (lease === undefined) return client;
    const ago = seen === undefined ? t('waiting.not_seen') : seen < 1 ? t('waiting.just_now') : t('waiting.seen', { ago: duration(seen * 1000, i18n.language) });
    return doing === 'nothing' ? t('waiting.client', { client, ago }) : t('waiting.client_doing', { client, ago, doing: t(`waiting.${doing}`) });
  }
}

/** Words of a server or a site, as they are: in their own language, and never as markup. */
export function OwnWords({ words }: { words: string }) {
  return (
    <q className="own-words" lang="en">
      {words}
    </q>
  );
}

/** An event in one sentence, and the reason that somebody gave for it. */
export function EventWords({ record }: { record: JournalRecord }) {
  const { t } = useTranslation();
  const said = sentence(record);
  const reason = 'reason' in record && record.type !== 'training_ended' ? record.reason : undefined;
  return (
    <>
      {said === undefined ? t('event.unknown', { type: record.type }) : words(said)} {reason !== undefined && reason !== '' && <OwnWords words={reason} />}
    </>
  );

  function words({ key, values }: Sentence): string {
    const { outcome, stop } = values;
    const named = {
      ...(typeof outcome === 'string' ? { outcome: t(`job_status.${outcome as 'failed'}`, { defaultValue: outcome }) } : {}),
      ...(typeof stop === 'string' ? { stop: t(`stop.${stop as 'rounds'}`, { defaultValue: stop }) } : {}),
    };
    return t(`event.${key}`, { ...values, ...named });
  }
}

/** Says how long ago something was, in whole seconds. */
export function useAgo(): (seconds: number) => string {
  const { t, i18n } = useTranslation();
  return (seconds) => (seconds < 1 ? t('clients.just_now') : t('clients.ago', { time: duration(Math.floor(seconds) * 1000, i18n.language) }));
}
