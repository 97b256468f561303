// Pieces that every screen is made of.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Icon, type IconName } from './icon';

/** A part of a screen, with a heading and what is done in it. */
export function Panel({ title, actions, children, flush = false }: { title: string; actions?: ReactNode; children: ReactNode; flush?: boolean }) {
  return (
    <section className={flush ? 'panel flush' : 'panel'}>
      <header>
        <h2>{title}</h2>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** A screen's heading. */
export function Top({ title, under, actions }: { title: ReactNode; under?: ReactNode; actions?: ReactNode }) {
  return (
    <header className="top">
      <div>
        <h1>{title}</h1>
        {under !== undefined && <p className="muted">{under}</p>}
      </div>
      {actions !== undefined && <div className="actions">{actions}</div>}
    </header>
  );
}

/** What stands where nothing is yet: why, and what to do about it. */
export function Empty({ icon, title, children }: { icon: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Icon name={icon} />
      <p className="title">{title}</p>
      {children}
    </div>
  );
}

/** A word with a colour that says the same. */
export function Badge({ tone, children }: { tone: 'good' | 'busy' | 'warn' | 'bad' | 'dim'; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

/** What went wrong, told at once also to those who do not see it. */
export function Failure({ children }: { children: ReactNode }) {
  return (
    <p className="failure" role="alert">
      <Icon name="warning" />
      <span>{children}</span>
    </p>
  );
}

export function Loading() {
  const { t } = useTranslation();
  return <p className="muted loading">{t('common.loading')}</p>;
}

/** A figure with its name. */
export function Tile({ label, value, under }: { label: string; value: ReactNode; under?: ReactNode }) {
  return (
    <div className="tile">
      <dt>{label}</dt>
      <dd>
        <strong>{value}</strong>
        {under !== undefined && <span className="muted">{under}</span>}
      </dd>
    </div>
  );
}

/** How much of something is done. */
export function Progress({ value, of, label }: { value: number; of: number; label: string }) {
  return <progress className="progress" value={Math.min(value, of)} max={Math.max(of, 1)} aria-label={label} />;
}

/** A table that scrolls sideways by itself where it does not fit; by keyboard, too. */
export function Table({ label, head, children }: { label: string; head: ReactNode; children: ReactNode }) {
  return (
    <div className="table" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
