// One setting of a recipe: its key, a control of its kind, and what the schema says of it.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Schema } from '../api/types';
import { isChanged, type Setting } from '../recipe';
import { SettingWords } from '../setting-words';
import { Field, Select, Switch } from './controls';

interface SettingProps {
  setting: Setting;
  typed: string | undefined;
  wrong: ReactNode;
  onChange: (text: string) => void;
}

export function SettingField({ setting, typed = '', wrong, onChange }: SettingProps) {
  const changed = isChanged(setting, { [setting.key]: typed });
  return (
    <div className={changed ? 'setting changed' : 'setting'} data-setting={setting.key}>
      <Control setting={setting} typed={typed} wrong={wrong} onChange={onChange} />
    </div>
  );
}

function Control({ setting, typed = '', wrong, onChange }: SettingProps) {
  const { key, kind, schema, standing, options } = setting;
  const hint = <Hint id={key} text={schema.description} schema={schema} />;
  switch (kind) {
    case 'switch':
      return <Switch label={key} hint={hint} selected={(typed || standing) === 'true'} onChange={(on) => onChange(String(on))} wrong={wrong} />;
    case 'choice': {
      const value = typed || standing;
      const chosen = options.find(({ id }) => id === value)?.hint;
      const ids = options.map(({ id }) => ({ id, label: id }));
      return <Select label={key} value={value} options={ids} onChange={onChange} labelled hint={<Hint id={chosen === undefined ? key : `${key.replace(/\.name$/, '')}:${value}`} text={chosen ?? schema.description} schema={{}} />} wrong={wrong} />;
    }
    default: {
      const number = kind === 'number' ? { type: 'number' as const, bounds: bounds(schema) } : {};
      const lines = kind === 'json' ? { lines: 4 } : {};
      return <Field label={key} name={key} value={typed} onChange={onChange} placeholder={standing} hint={hint} wrong={wrong} {...number} {...lines} />;
    }
  }
}

/** What a number's field may be set to by its arrows. What it may not be at all the server says. */
function bounds({ type, minimum, maximum, exclusiveMinimum, exclusiveMaximum }: Schema) {
  const [min, max] = [minimum ?? exclusiveMinimum, maximum ?? exclusiveMaximum];
  const step = [type].flat()[0] === 'integer' ? 1 : ('any' as const);
  return { step, ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
}

/** What it is, and the bounds. */
function Hint({ id, text = '', schema }: { id: string; text: string | undefined; schema: Schema }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => new Intl.NumberFormat(i18n.language, { maximumSignificantDigits: 15 }).format(value);
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const said = [
    exclusiveMinimum !== undefined && t('recipe.above', { value: number(exclusiveMinimum) }),
    // That a count is no less than nothing is not worth saying.
    minimum !== undefined && (minimum !== 0 || maximum !== undefined || exclusiveMaximum !== undefined) && t('recipe.at_least', { value: number(minimum) }),
    exclusiveMaximum !== undefined && t('recipe.below', { value: number(exclusiveMaximum) }),
    maximum !== undefined && t('recipe.at_most', { value: number(maximum) }),
  ].filter((words) => words !== false);
  const show = (words: string) => (said.length > 0 ? words.replace(/\.$/, '') : words).split(/(`[^`]+`|<https?:[^>]+>)/).map(marked);
  return (
    <>
      <SettingWords id={id} english={text} show={show} />
      {said.length > 0 && ` · ${said.join(', ')}`}
    </>
  );
}

/** A piece of a description: code, the address of a paper, or words. */
function marked(piece: string, at: number): ReactNode {
  if (piece.startsWith('`')) return <code key={at}>{piece.slice(1, -1)}</code>;
  if (!piece.startsWith('<http')) return piece;
  const url = piece.slice(1, -1);
  return (
    <a key={at} href={url} target="_blank" rel="noreferrer">
      {url.replace(/^https?:\/\//, '')}
    </a>
  );
}
