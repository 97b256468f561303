import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import en from '../../src/locales/en.json';
import ko from '../../src/locales/ko.json';

const SOURCES = join(import.meta.dirname, '../../src');

type Catalogue = Record<string, Record<string, string>>;

const PLURAL = /_(one|other)$/;

/** The texts of a catalogue by `group.key`, plurals as one. */
function texts(catalogue: Catalogue): Map<string, string> {
  const all = Object.entries(catalogue).flatMap(([group, keys]) => Object.entries(keys).map(([key, text]) => [`${group}.${key.replace(PLURAL, '')}`, text] as const));
  return new Map(all);
}

function sources(): string {
  const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'));
  return files.map((file) => readFileSync(join(SOURCES, file), 'utf8')).join('\n');
}

/** What is asked for: whole keys, and the beginnings of those whose ends are made while the page runs. */
function asked(): { keys: Set<string>; groups: Set<string> } {
  const source = sources();
  // A key may also be chosen between two: t(a ? 'x.y' : 'x.z').
  const keys = [...source.matchAll(/'([a-z_]+\.[a-z_-]+)'/g)].map(([, key = '']) => key);
  const groups = [...source.matchAll(/t\(`([a-z_]+)\.[a-z_]*\$\{/g)].map(([, group = '']) => group);
  return { keys: new Set(keys), groups: new Set(groups) };
}

describe('the catalogues', () => {
  it('have the same keys, and what stands in a text stands in its translation', () => {
    const [english, korean] = [texts(en), texts(ko)];
    expect([...korean.keys()].sort()).toEqual([...english.keys()].sort());
    const placeholders = (text: string | undefined) => [...new Set(text?.match(/\{\{[\w, ]+\}\}/g))].sort();
    for (const [key, text] of english) expect(placeholders(korean.get(key)), key).toEqual(placeholders(text));
  });

  it('have every key that is asked for, and none that nobody asks for', () => {
    const { keys, groups } = asked();
    const known = texts(en);
    const unused = [...known.keys()].filter((key) => !keys.has(key) && !groups.has(key.split('.')[0] ?? ''));
    expect(unused).toEqual([]);
    const wanted = [...sources().matchAll(/\bt\('([^']+)'/g)].map(([, key = '']) => key);
    expect(wanted.filter((key) => !known.has(key))).toEqual([]);
  });

  it('leave no text untranslated', () => {
    const same = [...texts(ko)].filter(([, text]) => !/[가-힣]/.test(text)).map(([key]) => key);
    expect(same).toEqual(['figure.mae', 'figure.rmse', 'figure.r2', 'figure.auroc', 'waiting.client', 'waiting.client_doing']);
  });
});
