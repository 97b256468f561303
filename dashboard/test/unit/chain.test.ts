import { webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Chain, digestOf } from '../../src/journal/chain';
import { parseLine } from '../../src/journal/entry';
import { lines, ROUND } from './journal';

const digest = digestOf(webcrypto.subtle as SubtleCrypto);
const LINES = lines(ROUND);

const check = (journal: readonly string[]) => new Chain(digest).follow(journal.map(parseLine));

describe('a chain', () => {
  it('holds where every hash is of the bytes before it', async () => {
    expect(await check(LINES)).toEqual({ state: 'holds', upTo: LINES.length });
  });

  it('holds in pieces', async () => {
    const chain = new Chain(digest);
    for (const line of LINES) await chain.follow([parseLine(line)]);
    expect(chain.check).toEqual({ state: 'holds', upTo: LINES.length });
  });

  it('is of bytes: a space more is another event', async () => {
    const spaced = LINES.map((line, i) => (i === 4 ? line.replace('"job":1}', '"job": 1}') : line));
    expect(await check(spaced)).toEqual({ state: 'broken', at: 5 });
  });

  it.each([
    ['changed', LINES.map((line) => line.replace('bora', 'cora')), 3],
    ['left out', LINES.filter((_, i) => i !== 2), 3],
    ['turned round', [LINES[1], LINES[0], ...LINES.slice(2)] as string[], 1],
    ['cut off at its beginning', LINES.slice(1), 1],
  ])('that was %s is broken there, and stays so', async (_, journal, at) => {
    expect(await check(journal)).toEqual({ state: 'broken', at });
  });

  it('is not checked where there is no SHA-256, and says so', async () => {
    expect(await new Chain(digestOf(undefined)).follow(LINES.map(parseLine))).toEqual({ state: 'unchecked' });
  });
});

describe('a line', () => {
  it('is taken in one spelling alone', () => {
    const [line = ''] = LINES;
    expect(parseLine(line).event).toBe('{"v":1,"at":"0","type":"federation_created","name":"fitbit"}');
    for (const bad of ['', '{}', ` ${line}`, line.replace('"sequence":"1"', '"sequence":1'), line.slice(0, -1)]) {
      expect(() => parseLine(bad)).toThrow();
    }
  });
});
