import { describe, expect, it } from 'vitest';
import { sentence } from '../../src/event-words';
import { bytes, clock, csv, duration, figure, shortest } from '../../src/format';
import { firstLanguage } from '../../src/i18n';
import { EVENT_TYPES, type JournalRecord } from '../../src/journal/events';
import { readSpec } from '../../src/plan';
import { parseWaiting } from '../../src/waiting';

describe('what a job waits for', () => {
  it('is understood in every sentence of the server', () => {
    const check = (words: string, want: object) => expect(parseWaiting(words)).toEqual(want);
    check('3 clients are needed, 1 are there', { key: 'clients', needed: 3, present: 1, more: '' });
    check('3 clients are needed, 1 are there; others are left out, 2 by cohort.filter.rows', {
      key: 'clients', needed: 3, present: 1, more: 'others are left out, 2 by cohort.filter.rows',
    });
    check('round 1-train-7-1: 2 of 5 needed; person-17 is training, last seen 21 s ago, its lease ends in 9 s; b not seen since the server was started, its lease ends in 30 s; c was not heard of; and 4 more', {
      key: 'answers', round: '1-train-7-1', reported: 2, quorum: 5, more: 4,
      awaited: [
        { client: 'person-17', doing: 'training', seen: 21, lease: 9 },
        { client: 'b', doing: 'nothing', seen: undefined, lease: 30 },
        { client: 'c', doing: 'nothing', seen: undefined, lease: undefined },
      ],
    });
    check('round 1-train-1-1 has 2 answers and awaits 1 more; aggregate it', { key: 'aggregate', round: '1-train-1-1', reported: 2, awaited: 1 });
    check('the round was abandoned (2 in a row); it is tried again in a moment; a declined: no rows', { key: 'retry', abandoned: 2, more: 'a declined: no rows' });
    check('10 rounds in a row were abandoned', { key: 'gave_up', abandoned: 10, more: '' });
    check('the job is paused; resume it, or train one round', { key: 'resume' });
    check('the next model version is being made', { key: 'model' });
    check('it was not started yet', { key: 'start' });
  });

  it('stays as it is if it is none of them', () => {
    expect(parseWaiting('the server cannot go on: no disk')).toEqual({ key: 'other', words: 'the server cannot go on: no disk' });
  });
});

describe('numbers', () => {
  it('are written as they are read', () => {
    expect([bytes(0, 'en'), bytes(999, 'en'), bytes(1500, 'en'), bytes(28_790, 'en'), bytes(2.5e9, 'en')]).toEqual(['0 byte', '999 byte', '1.5 kB', '29 kB', '2.5 GB']);
    expect([figure(0.12345, 'en'), figure(583.21, 'en'), figure(12_345.67, 'en'), figure(undefined, 'en'), figure(Number.NaN, 'en')]).toEqual(['0.1235', '583.2', '12,345.7', '–', '–']);
    expect([duration(12, 'en'), duration(3400, 'en'), duration(59_000, 'en'), duration(192_000, 'en'), duration(4_320_000, 'en')]).toEqual(['12ms', '3.4s', '59s', '3m 12s', '1h 12m']);
    expect(duration(192_000, 'ko')).toBe('3분 12초');
    expect([clock(0), clock(192_450), clock(36_000_000)]).toEqual(['0:00:00.0', '0:03:12.4', '10:00:00.0']);
  });
});

describe('a table', () => {
  it('is a CSV file in which no text is a formula', () => {
    expect(csv([['a', 1, undefined], ['x,"y"', -1.5, '=cmd()']])).toBe(`a,1,\r\n"x,""y""",-1.5,'=cmd()\r\n`);
  });
});

describe('a plan', () => {
  it('is taken by itself, or with its seed, and nothing else is', () => {
    expect(readSpec('{"name":"fitbit"}', ' 7 ')).toEqual({ plan: { name: 'fitbit' }, seed: '7' });
    expect(readSpec('{"plan":{"name":"a"},"seed":"9"}', '7')).toEqual({ plan: { name: 'a' }, seed: '9' });
    expect([readSpec('', '0'), readSpec('[1]', '0'), readSpec('null', '0')]).toEqual([undefined, undefined, undefined]);
  });
});

describe('a language', () => {
  it('is the one that was chosen, else the first of the browser that there is', () => {
    expect(firstLanguage('ko', ['en-GB'])).toBe('ko');
    expect(firstLanguage(null, ['fr', 'ko-KR', 'en'])).toBe('ko');
    expect(firstLanguage('xx', ['fr'])).toBe('en');
  });
});

describe('an event', () => {
  it('of every known type has a sentence, and one of an unknown type has none', () => {
    const plain = { v: 1, at: '0', epoch: 1, client: 'a', round: '1-train-1-1', cohort: [], participants: [], plan: { name: 'p' }, ready: true };
    for (const type of EVENT_TYPES) expect(sentence({ ...plain, type } as unknown as JournalRecord)?.key, type).toBeDefined();
    expect(sentence({ ...plain, type: 'of_tomorrow' } as unknown as JournalRecord)).toBeUndefined();
  });
});

describe('a number of 32 bits', () => {
  it('is written as it was meant', () => {
    const written = (value: number) => JSON.stringify({ value }, shortest);
    expect(written(Math.fround(0.01))).toBe('{"value":0.01}');
    expect(written(Math.fround(1e-7))).toBe('{"value":1e-7}');
    expect([written(0.01), written(3), written(0.5), written(16777217)]).toEqual(['{"value":0.01}', '{"value":3}', '{"value":0.5}', '{"value":16777217}']);
    for (const value of [0.1, 123.456, 3.4e38, 1.17e-38].map(Math.fround)) expect(Math.fround(shortest('', value) as number)).toBe(value);
  });
});
