import { describe, expect, it } from 'vitest';
import { EMPTY, fold, type Story } from '../../src/journal/fold';
import { History } from '../../src/journal/history';
import { entries, ROUND } from './journal';

const at = (sequence: number): Story => ({ ...EMPTY, sequence });

describe('moments of a journal', () => {
  it('are near whatever is asked for, and few', () => {
    const history = new History();
    for (let sequence = 1; sequence <= 20_000; sequence += 1) history.note(at(sequence));
    const gaps = Array.from({ length: 20_000 }, (_, i) => i + 1 - history.before(i + 1).sequence);
    expect(Math.min(...gaps)).toBe(0);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(20_000 / 20);
    expect(new Set(Array.from({ length: 20_000 }, (_, i) => history.before(i + 1))).size).toBeLessThanOrEqual(66);
  });

  it('are none before the first, from which every story begins', () => {
    expect(new History().before(7)).toBe(EMPTY);
  });

  it('lead to the story that the whole journal leads to', () => {
    const all = entries(ROUND);
    for (let cut = 0; cut <= all.length; cut += 1) {
      const [before, rest] = [fold(EMPTY, all.slice(0, cut)), all.slice(cut)];
      expect(fold(before, rest)).toEqual(fold(EMPTY, all));
    }
  });
});
