// What settings and recipes are, in the reader's language. The schema's own words are English; another language has them here, by
// key: `training.epochs`, `strategy:fedavg` for what is chosen, `recipe:fitbit`. What a newer server says, and nobody has said here,
// stays English, and is marked so.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import ko from './locales/settings.ko.json';

const WORDS: Partial<Record<string, Partial<Record<string, string>>>> = { ko };

/** A description by its key, or what the server says of it. */
export function SettingWords({ id, english, show = (words) => words }: { id: string; english: string; show?: (words: string) => ReactNode }) {
  const { i18n } = useTranslation();
  const own = WORDS[i18n.language]?.[id];
  return own === undefined ? <span lang="en">{show(english)}</span> : <span>{show(own)}</span>;
}
