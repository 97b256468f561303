// A recipe's settings: a JSON Schema as a list of fields, and what was typed into them as settings.
import type { RecipeView, Schema } from './api/types';

/** What is typed, by key; nothing where the recipe's own stands. */
export type Typed = Partial<Record<string, string>>;

export interface Setting {
  /** As a recipe has it: `training.epochs`. */
  key: string;
  kind: 'number' | 'switch' | 'choice' | 'list' | 'json' | 'text';
  schema: Schema;
  /** What the recipe says of it. */
  value: unknown;
  /** What stands where nothing is typed, as it would be typed. */
  standing: string;
  /** Of a choice. */
  options: { id: string; hint: string | undefined }[];
}

/** The settings that are changed most, in this order; `strategy` stands for all of its own. */
const FIRST = [
  'rounds', 'strategy', 'cohort.size', 'cohort.quorum', 'cohort.deadline_s', 'training.epochs', 'training.batch_size', 'training.optimizer.learning_rate', 'codec',
];

/** The fields of a schema, those of a table beside one another. Of a choice, those of what is chosen. */
export function settingsOf(schema: Schema, value: unknown, typed: Typed, key = ''): Setting[] {
  const choices = choicesOf(schema);
  if (choices.length > 0) return choice(key, schema, choices, value, typed);
  if (schema.properties === undefined) return [leaf(key, schema, value)];
  const inner = (name: string) => (key === '' ? name : `${key}.${name}`);
  return Object.entries(schema.properties).flatMap(([name, schema]) => settingsOf(schema, part(value, name), typed, inner(name)));
}

function choice(key: string, schema: Schema, choices: Schema[], value: unknown, typed: Typed): Setting[] {
  const options = choices.map((one) => ({ id: nameOf(one), hint: one.description }));
  const standing = asTyped(part(value, 'name') ?? part(schema.default, 'name'));
  const name: Setting = { key: `${key}.name`, kind: 'choice', schema, value: standing, standing, options };
  const chosen = choices.find((one) => nameOf(one) === (typed[name.key] ?? standing));
  const own = Object.fromEntries(Object.entries(chosen?.properties ?? {}).filter(([name]) => name !== 'name'));
  return [name, ...settingsOf({ properties: own }, value, typed, key)];
}

function leaf(key: string, schema: Schema, value: unknown): Setting {
  const options = (schema.oneOf ?? []).map((one) => ({ id: one.const ?? '', hint: one.description }));
  return { key, kind: kindOf(schema), schema, value, standing: asTyped(value ?? schema.default), options };
}

function kindOf(schema: Schema): Setting['kind'] {
  if (schema.oneOf !== undefined) return 'choice';
  switch ([schema.type].flat()[0]) {
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'switch';
    case 'array':
      return schema.items?.oneOf === undefined ? 'list' : 'json';
    default:
      return 'text';
  }
}

/** The tables that may stand there, each with a name. */
function choicesOf(schema: Schema): Schema[] {
  return (schema.oneOf ?? []).filter((one) => nameOf(one) !== '');
}

function nameOf(schema: Schema): string {
  return schema.properties?.['name']?.const ?? '';
}

function part(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function asTyped(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (Array.isArray(value) && value.every((one) => typeof one !== 'object')) return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Those of the first section, and the others by the table that they are of. */
export function divided(settings: Setting[]): { first: Setting[]; others: [string, Setting[]][] } {
  const rank = ({ key }: Setting) => FIRST.findIndex((first) => key === first || (first === 'strategy' && key.startsWith('strategy.')));
  const first = settings.filter((setting) => rank(setting) >= 0).sort((a, b) => rank(a) - rank(b));
  const others = new Map<string, Setting[]>();
  for (const setting of settings.filter((setting) => rank(setting) < 0)) {
    const table = setting.key.includes('.') ? (setting.key.split('.')[0] ?? '') : 'plan';
    others.set(table, [...(others.get(table) ?? []), setting]);
  }
  return { first, others: [...others].sort(([a], [b]) => a.localeCompare(b)) };
}

/** What was typed, as a value. What is none of its kind stays a text, for the server to say so. */
function read({ kind, schema }: Setting, text: string): unknown {
  switch (kind) {
    case 'number':
      return asNumber(text);
    case 'switch':
      return text === 'true';
    case 'list': {
      const parts = text.replace(/^\s*\[|\]\s*$/g, '').split(',').map((part) => part.trim()).filter((part) => part !== '');
      return schema.items?.type === 'string' ? parts : parts.map(asNumber);
    }
    case 'json':
      return asJson(text);
    default:
      return text;
  }
}

function asNumber(text: string): unknown {
  const number = Number(text);
  return text.trim() !== '' && Number.isFinite(number) ? number : text;
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Whether something is typed that is not what stands anyway. */
export function isChanged(setting: Setting, typed: Typed): boolean {
  const text = typed[setting.key] ?? '';
  return text !== '' && !same(read(setting, text), setting.kind === 'switch' ? setting.standing === 'true' : setting.value);
}

/** What is set otherwise than the recipe says. Where another choice was made, all of its table is: the keys of the old one go with it. */
export function changes(settings: Setting[], typed: Typed): Record<string, unknown> {
  const changed = settings.filter((setting) => isChanged(setting, typed));
  const tables = changed.filter(({ key, kind }) => kind === 'choice' && key.endsWith('.name')).map(({ key }) => key.slice(0, -'.name'.length));
  const valueOf = (setting: Setting) => (isChanged(setting, typed) ? read(setting, typed[setting.key] ?? '') : setting.value);
  const table = (table: string) => {
    const own = settings.filter(({ key }) => key.startsWith(`${table}.`)).map((setting) => [setting.key.slice(table.length + 1), valueOf(setting)] as const);
    return Object.fromEntries(own.filter(([, value]) => value !== undefined && value !== null));
  };
  const alone = changed.filter(({ key }) => !tables.some((table) => key.startsWith(`${table}.`)));
  return Object.fromEntries([...alone.map((setting) => [setting.key, valueOf(setting)] as const), ...tables.map((name) => [name, table(name)] as const)]);
}

/** The field that a refusal is about: of a table, its first. */
export function fieldOf(settings: Setting[], refused: string | undefined): string | undefined {
  if (refused === undefined) return undefined;
  const bare = refused.replace(/\[.*$/, '');
  return (settings.find(({ key }) => key === bare) ?? settings.find(({ key }) => key.startsWith(`${bare}.`)))?.key;
}

/** Whether a job from the recipe is about the rows that a federation is about. */
export function fits(recipe: RecipeView, schema: unknown): boolean {
  return schema === null || schema === undefined || same(recipe.schema, schema);
}

function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const keys = Object.keys(a);
  return Array.isArray(a) === Array.isArray(b) && keys.length === Object.keys(b).length && keys.every((key) => same(part(a, key), part(b, key)));
}
