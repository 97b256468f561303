import { describe, expect, it } from 'vitest';
import type { RecipeView, Schema } from '../../src/api/types';
import { changes, divided, fieldOf, fits, isChanged, settingsOf, type Typed } from '../../src/recipe';

const named = (name: string, properties: Record<string, Schema> = {}): Schema => ({ description: `What ${name} is.`, type: 'object', properties: { name: { const: name }, ...properties } });
const whole: Schema = { type: 'integer', minimum: 1 };
const rate: Schema = { type: 'number', exclusiveMinimum: 0 };

/** As the server describes settings, of each kind one. */
const SCHEMA: Schema = {
  properties: {
    rounds: whole,
    refit: { type: 'boolean', default: false },
    codec: { oneOf: [{ const: 'f32' }, { const: 'bf16' }], default: 'f32' },
    strategy: { oneOf: [named('fedavg', { learning_rate: { ...rate, default: 1 } }), named('fedprox', { learning_rate: { ...rate, default: 1 }, mu: { type: 'number' } })] },
    cohort: { type: 'object', properties: { size: { type: ['integer', 'null'], default: null }, select: { default: { name: 'random' }, oneOf: [named('random'), named('ring')] } } },
    training: { type: 'object', properties: { optimizer: { oneOf: [named('sgd', { learning_rate: rate }), named('adam', { learning_rate: rate, weight_decay: { ...rate, default: 0 } })] } } },
    personalise: { type: 'object', properties: { layers: { type: 'array', items: { type: 'string' } } } },
    model: { oneOf: [named('mlp', { hidden: { type: 'array', items: { type: 'integer' } } }), named('layers', { layers: { type: 'array', items: { oneOf: [named('relu')] } } })] },
  },
};
const VALUES = {
  rounds: 20, refit: true, codec: 'f32', strategy: { name: 'fedavg', learning_rate: 0.5 }, cohort: { size: null },
  training: { optimizer: { name: 'adam', learning_rate: 0.001 } }, personalise: { layers: ['layers.5'] }, model: { name: 'mlp', hidden: [64, 32] },
};

const settings = (typed: Typed = {}) => settingsOf(SCHEMA, VALUES, typed);
const changed = (typed: Typed) => changes(settings(typed), typed);

describe('settings', () => {
  it('are the fields of the schema, of a choice those of what is chosen, with what stands', () => {
    const standing = Object.fromEntries(settings().map(({ key, standing }) => [key, standing]));
    expect(standing).toEqual({
      rounds: '20', refit: 'true', codec: 'f32', 'strategy.name': 'fedavg', 'strategy.learning_rate': '0.5', 'cohort.size': '', 'cohort.select.name': 'random',
      'training.optimizer.name': 'adam', 'training.optimizer.learning_rate': '0.001', 'training.optimizer.weight_decay': '0', 'personalise.layers': 'layers.5',
      'model.name': 'mlp', 'model.hidden': '64, 32',
    });
    const kinds = new Set(settings({ 'model.name': 'layers' }).map(({ kind }) => kind));
    expect([...kinds].sort()).toEqual(['choice', 'json', 'list', 'number', 'switch']);
    expect(settings({ 'strategy.name': 'fedprox' }).map(({ key }) => key)).toContain('strategy.mu');
  });

  it('that are changed most come first, the others by their tables', () => {
    const { first, others } = divided(settings());
    expect(first.map(({ key }) => key)).toEqual(['rounds', 'strategy.name', 'strategy.learning_rate', 'cohort.size', 'training.optimizer.learning_rate', 'codec']);
    expect(others.map(([table]) => table)).toEqual(['cohort', 'model', 'personalise', 'plan', 'training']);
  });

  it('are sent where they are changed, and only then', () => {
    const check = (typed: Typed, want: unknown) => expect(changed(typed)).toEqual(want);
    check({}, {});
    check({ rounds: '20', refit: 'true', codec: 'f32', 'model.hidden': '[64, 32]', 'strategy.name': 'fedavg' }, {});
    check({ rounds: '50', refit: 'false', codec: 'bf16' }, { rounds: 50, refit: false, codec: 'bf16' });
    check({ 'model.hidden': '8,4', 'personalise.layers': '[]' }, { 'model.hidden': [8, 4], 'personalise.layers': [] });
    check({ 'training.optimizer.learning_rate': '1e-4' }, { 'training.optimizer.learning_rate': 0.0001 });
    check({ rounds: 'many', 'model.hidden': '8, x' }, { rounds: 'many', 'model.hidden': [8, 'x'] });
    check({ rounds: '' }, {});
  });

  it('of another choice are sent as its whole table, with what it has in common with the recipe', () => {
    expect(changed({ 'strategy.name': 'fedprox', 'strategy.mu': '0.1' })).toEqual({ strategy: { name: 'fedprox', learning_rate: 0.5, mu: 0.1 } });
    expect(changed({ 'training.optimizer.name': 'sgd', 'training.optimizer.weight_decay': '3' })).toEqual({ 'training.optimizer': { name: 'sgd', learning_rate: 0.001 } });
    expect(changed({ 'cohort.select.name': 'ring' })).toEqual({ 'cohort.select': { name: 'ring' } });
    expect(changed({ 'model.name': 'layers', 'model.layers': '[{"layer": "relu"}]' })).toEqual({ model: { name: 'layers', layers: [{ layer: 'relu' }] } });
  });

  it('that are refused are found by their names', () => {
    const all = settings();
    expect(fieldOf(all, 'rounds')).toBe('rounds');
    expect(fieldOf(all, 'training.optimizer')).toBe('training.optimizer.name');
    expect(fieldOf(all, 'model.hidden[1]')).toBe('model.hidden');
    expect(fieldOf(all, 'rows')).toBeUndefined();
    expect(fieldOf(all, undefined)).toBeUndefined();
    expect(all.filter((setting) => isChanged(setting, {}))).toEqual([]);
  });
});

it('fits a federation whose rows mean the same, or that says nothing of them', () => {
  const recipe: RecipeView = { name: 'a', title: '', data: '', task: 'regression', schema: { features: [{ name: 'x', unit: 'm' }] } };
  expect(fits(recipe, undefined)).toBe(true);
  expect(fits(recipe, { features: [{ unit: 'm', name: 'x' }] })).toBe(true);
  expect(fits(recipe, { features: [{ name: 'x', unit: 'km' }] })).toBe(false);
  expect(fits(recipe, { features: [] })).toBe(false);
});
