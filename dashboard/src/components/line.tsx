// Whether what is shown is what is.
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Line } from '../journal/feed';
import { count } from '../format';
import { Icon } from './icon';

/** What is shown while the line is there: what happens, what was, what was recorded, or what is read so far. */
type Mood = 'live' | 'past' | 'recorded' | 'reading';

/** A dot and a word in the bar. */
export function LineSign({ line, mood }: { line: Line; mood: Mood }) {
  const { t } = useTranslation();
  const said = line.state === 'live' ? mood : line.state;
  return (
    <span className={`line ${said}`} role="status" data-line={line.state}>
      <span className="dot" aria-hidden="true" />
      <span>{t(`line.${said}`)}</span>
    </span>
  );
}

/** A band across the page while nothing comes. */
export function LineBand({ line }: { line: Line }) {
  const { t } = useTranslation();
  if (line.state !== 'cut' && line.state !== 'over') return null;
  return (
    <div className="band" role="alert">
      <Icon name="warning" />
      <span>
        {line.state === 'cut' ? t('line.cut_long') : t(`line.over_${line.why}`)}{' '}
        {line.state === 'over' && line.why === 'session' && <Link to="/sign-in">{t('sign_in.title')}</Link>}
      </span>
    </div>
  );
}

/** A band across the page while a long journal is read. */
export function ReadingBand({ read, of }: { read: number; of: number }) {
  const { t, i18n } = useTranslation();
  return (
    <div className="band reading" role="status">
      <Icon name="journal" />
      <span>{t('line.reading_long', { read: count(read, i18n.language), of: count(of, i18n.language) })}</span>
    </div>
  );
}
