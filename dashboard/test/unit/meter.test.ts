import { describe, expect, it } from 'vitest';
import type { SystemView } from '../../src/api/types';
import { add, current, gauge, rate, ratio, SPAN_MS, top, type Sample } from '../../src/meter';

const NOTHING: SystemView = {
  version: '0', read_only: false, demo: null, uptime_s: 0, memory_bytes: null, memory_peak_bytes: null, cpu_s: null, cores: 2, connections: 0, max_connections: 10,
  requests: 0, events: 0, appends: 0, append_s: 0, received_bytes: 0, sent_bytes: 0, disk_free_bytes: null, disk_bytes: null, federations: [],
};

function sample(at: number, uptime_s: number, view: Partial<SystemView>): Sample {
  return { at, view: { ...NOTHING, uptime_s, ...view } };
}

const values = (points: { value: number | undefined }[]) => points.map(({ value }) => value);
const requests = (view: SystemView) => view.requests;

describe('a rate', () => {
  it('is what a counter grows by in a second of the server, whenever the answers came', () => {
    const samples = [sample(0, 10, { requests: 5 }), sample(1300, 11, { requests: 25 }), sample(2000, 13, { requests: 25 })];
    expect(rate(samples, requests)).toEqual([{ at: 1300, value: 20 }, { at: 2000, value: 0 }]);
  });

  it('is not known over a restart, for counters begin again', () => {
    const samples = [sample(0, 10, { requests: 500 }), sample(1000, 0.5, { requests: 3 }), sample(2000, 1.5, { requests: 7 })];
    expect(values(rate(samples, requests))).toEqual([undefined, 4]);
    // The new server may be as old by then as the one before was.
    const quick = [sample(0, 0.5, { requests: 500 }), sample(1000, 0.8, { requests: 3 })];
    expect(values(rate(quick, requests))).toEqual([undefined]);
  });

  it('is not known where nobody looked, nor where a system does not tell', () => {
    const samples = [sample(0, 10, { requests: 5 }), sample(60_000, 70, { requests: 25 })];
    expect(values(rate(samples, requests))).toEqual([undefined]);
    const silent = [sample(0, 10, {}), sample(1000, 11, {})];
    expect(values(rate(silent, (view) => view.cpu_s))).toEqual([undefined]);
  });
});

it('a mean over an interval is none where nothing was counted', () => {
  const samples = [sample(0, 1, {}), sample(1000, 2, { appends: 4, append_s: 0.02 }), sample(2000, 3, { appends: 4, append_s: 0.02 })];
  expect(values(ratio(samples, (view) => view.append_s, (view) => view.appends))).toEqual([0.005, undefined]);
});

it('a gauge has a hole where nobody looked', () => {
  const samples = [sample(0, 1, { memory_bytes: 7 }), sample(1000, 2, { memory_bytes: 9 }), sample(30_000, 31, { memory_bytes: 8 })];
  expect(values(gauge(samples, (view) => view.memory_bytes))).toEqual([7, 9, undefined, 8]);
});

it('samples that are too old are let go of', () => {
  const first = add([], sample(0, 1, {}));
  const kept = add(add(first, sample(1000, 2, {})), sample(SPAN_MS + 500, 3, {}));
  expect(kept.map(({ at }) => at)).toEqual([1000, SPAN_MS + 500]);
});

it('the value now is that of the last sample, or none', () => {
  expect(current([{ at: 0, value: 3 }, { at: 1, value: undefined }])).toBeUndefined();
  expect(current([{ at: 0, value: 3 }])).toBe(3);
  expect(current([])).toBeUndefined();
});

it('an axis ends in a round number above all values', () => {
  const axis = (most: number, least: number) => top([{ at: 0, value: most }, { at: 1, value: undefined }], least);
  expect([axis(0, 1), axis(3, 1), axis(11, 10), axis(47e6, 1e6), axis(900, 10), axis(0.3, 0.1)]).toEqual([1, 5, 20, 50e6, 1000, 0.5]);
});
