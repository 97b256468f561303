// Whether what is shown is what is.
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { Line } from '../journal/feed';
import { Icon } from './icon';

/** A dot and a word in the bar. What was recorded does not live any more. */
export function LineSign({ line, recorded }: { line: Line; recorded: boolean }) {
  const { t } = useTranslation();
  const word = recorded && line.state === 'live' ? t('line.recorded') : t(`line.${line.state}`);
  return (
    <span className={`line ${line.state}`} role="status" data-line={line.state}>
      <span className="dot" aria-hidden="true" />
      <span>{word}</span>
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
