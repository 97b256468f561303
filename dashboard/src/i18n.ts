// The languages. Each has one catalogue; the browser's setting chooses, and the reader may choose otherwise.
import i18next from 'i18next';
import { initReactI18next } from 'react-i18next';
import en from './locales/en.json';
import ko from './locales/ko.json';

export const LANGUAGES = ['en', 'ko'] as const;
export type Language = (typeof LANGUAGES)[number];

const KEY = 'dure.language';

declare module 'i18next' {
  interface CustomTypeOptions {
    resources: { translation: typeof en };
    returnNull: false;
  }
}

/** The language to begin with. */
export function firstLanguage(kept: string | null, wanted: readonly string[]): Language {
  const known = (tag: string) => LANGUAGES.find((language) => tag.toLowerCase().split('-')[0] === language);
  return known(kept ?? '') ?? wanted.map(known).find((language) => language !== undefined) ?? 'en';
}

export function startLanguages(): void {
  const language = firstLanguage(localStorage.getItem(KEY), navigator.languages);
  void i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, ko: { translation: ko } },
    lng: language,
    fallbackLng: 'en',
    // React writes texts as texts.
    interpolation: { escapeValue: false },
  });
  document.documentElement.lang = language;
}

export function chooseLanguage(language: Language): void {
  localStorage.setItem(KEY, language);
  document.documentElement.lang = language;
  void i18next.changeLanguage(language);
}
