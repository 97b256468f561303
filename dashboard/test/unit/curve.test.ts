import { expect, it } from 'vitest';
import { curve, figures, table } from '../../src/chart/curve';
import { EMPTY, fold } from '../../src/journal/fold';
import { entries, ROUND } from './journal';

const points = fold(EMPTY, entries(ROUND)).jobs.get(1)?.points ?? [];

it('draws each figure over the rounds that have it', () => {
  expect(figures(points)).toEqual(['train_loss', 'mae']);
  expect(curve(points, 'train_loss')).toEqual([[1, 1.5]]);
  expect(curve(points, 'mae')).toEqual([[1, 12.5]]);
  expect(curve(points, 'r2')).toEqual([]);
});

it('is a table with a row for each round', () => {
  expect(table(points)).toEqual([
    ['round', 'version', 'asked', 'answers', 'bytes_up', 'seconds', 'train_loss', 'mae'],
    [1, 2, 2, 2, 2000, 0.4, 1.5, 12.5],
  ]);
});
