import { describe, expect, it } from 'vitest';
import { best, change, compareAddress, compared, differences, outlineOf, parseNames, setting, spots, table, took, type Outline } from '../../src/compare';
import { EMPTY, fold } from '../../src/journal/fold';
import { lineage, parameters } from '../../src/lineage';
import { baselines } from '../../src/report';
import { created, entries, opened, published, ROUND, update } from './journal';

const REFIT = [
  ...ROUND,
  { ...created(2), refit_of: 1, seed: '7' },
  { type: 'job_started', job: 2 },
  { ...published(3, 2, 0), parent: null },
  opened('2-train-1-1', ['anna']),
  update('2-train-1-1', 'anna', 1, 0.5),
  { type: 'round_completed', round: '2-train-1-1', participants: ['anna'] },
  published(4, 2, 1),
  { type: 'evaluated', round: '2-test-1-1', version: 4, metrics: { global: { mae: 9 } } },
  { type: 'alias_set', alias: 'production', version: 4 },
];
const story = fold(EMPTY, entries(REFIT));
const outlines = [...story.jobs.values()].map(outlineOf);
const [first, second] = outlines as [Outline, Outline];

describe('jobs that are compared', () => {
  it('are named in an address, within a federation and beside all', () => {
    const names = parseNames('a:1,b:2,b:2,:3,a:x,');
    expect(names).toEqual([{ federation: 'a', job: 1 }, { federation: 'b', job: 2 }]);
    expect(compareAddress(names)).toBe('/compare?of=a:1,b:2');
    expect(compareAddress(parseNames('a:1,a:2'))).toBe('/federations/a/compare?jobs=1,2');
  });

  it('were tested themselves, or their refits were', () => {
    const jobs = compared(parseNames('a:1,a:2,a:9'), () => outlines);
    expect(jobs.map(({ id, tested }) => [id, tested])).toEqual([['a:1', { global: { mae: 9 } }], ['a:2', { global: { mae: 9 } }]]);
  });

  it('are drawn by round, by the time since their start, and by bytes', () => {
    // The job starts with its fifth event and has a model with its tenth, 100 ms each.
    expect([spots(first, 'mae', 'round'), spots(first, 'mae', 'time'), spots(first, 'mae', 'bytes')]).toEqual([[[1, 12.5]], [[500, 12.5]], [[2000, 12.5]]]);
    expect([took(first), best(first, 'mae'), best(second, 'mae')]).toEqual([500, { round: 1, value: 12.5 }, undefined]);
  });

  it('are a table with a row for each round', () => {
    expect(table(compared(parseNames('a:1,a:2'), () => outlines))).toEqual([
      ['federation', 'job', 'recipe', 'round', 'seconds', 'bytes_up', 'train_loss', 'mae'],
      ['a', 1, 'fitbit', 1, 0.5, 2000, 1.5, 12.5],
      ['a', 2, 'fitbit', 1, 0.5, 1000, 0.5, undefined],
    ]);
  });

  it('differ in the keys that are not the same, and in no others', () => {
    const plans = [{ a: 1, b: { c: 'x', d: [1, 2] }, e: null }, { a: 1, b: { c: 'y', d: [1, 3] }, e: null, f: [{ g: true }] }];
    expect(differences(plans)).toEqual([
      { key: 'b.c', values: ['x', 'y'] },
      { key: 'b.d', values: ['[1,2]', '[1,3]'] },
      { key: 'f.0.g', values: [undefined, 'true'] },
    ]);
    expect(differences(outlines.map(setting))).toEqual([{ key: 'seed', values: ['0', '7'] }]);
  });
});

describe('of two figures', () => {
  it('the better one depends on which figure it is', () => {
    expect([change('mae', 10, 8), change('r2', 0.5, 0.4), change('mae', 1, 1), change('mae', 1, undefined)]).toEqual([
      { by: -2, better: 'second' }, { by: 0.4 - 0.5, better: 'first' }, { by: 0, better: 'neither' }, undefined,
    ]);
  });
});

describe('the line of a version', () => {
  it('goes back to where it begins, with names and with what chose the number of rounds', () => {
    expect(lineage(story, 4).map((step) => ('between' in step ? step : [step.version.version, step.names, step.chosenBy]))).toEqual([
      [4, ['production'], undefined],
      [3, [], 1],
    ]);
    expect(story.versions[3]).toMatchObject({ job: 2, round: 1, parent: 3, tested: { global: { mae: 9 } } });
  });

  it('counts what is not worth a step of its own', () => {
    const rounds = Array.from({ length: 500 }, (_, i) => ({ ...published(i + 1, 1, i), parent: i === 0 ? null : i }));
    const long = fold(EMPTY, entries([created(1), ...rounds, { type: 'alias_set', alias: 'production', version: 200 }]));
    expect(lineage(long, 500).map((step) => ('between' in step ? `${step.between} between` : step.version.version))).toEqual([500, 499, '298 between', 200, '198 between', 1]);
    const named = Array.from({ length: 400 }, (_, i) => ({ type: 'alias_set', alias: `name-${i}`, version: i + 1 }));
    expect(lineage(fold(EMPTY, entries([created(1), ...rounds, ...named])), 500).length).toBeLessThan(70);
  });
});

it('a model has as many parameters as the shapes of its tensors say', () => {
  expect([parameters([{ shape: [64, 10] }, { shape: [64] }]), parameters(undefined)]).toEqual([704, undefined]);
});

it('baselines are the figures of a report, without how they spread', () => {
  const report = { baselines: { central: { mae: 1, over_clients: { mae: { min: 0 } } } } };
  expect([baselines(report), baselines(undefined)]).toEqual([[['central', { mae: 1 }]], []]);
});
