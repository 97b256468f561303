// A job from a recipe: a form that is made from the schema of its plan.
import { useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { post, Refused } from '../api/client';
import type { RecipeDetails, RecipeView } from '../api/types';
import { Field, Select } from '../components/controls';
import { NotYet } from '../components/guard';
import { Failure, Loading } from '../components/pieces';
import { SettingField } from '../components/setting';
import { useHere } from '../federation';
import { changes, divided, fieldOf, fits, isChanged, settingsOf, type Setting, type Typed } from '../recipe';
import { SettingWords } from '../setting-words';
import { useAction, useResource } from '../use';
import { JobForm, useCreate } from './new-job';

export function FromRecipe({ recipes, onClose }: { recipes: RecipeView[]; onClose: () => void }) {
  const { t } = useTranslation();
  const { view } = useHere();
  const [chosen, setChosen] = useState<string>();
  const fitting = recipes.filter((recipe) => fits(recipe, view?.schema));
  const others = recipes.filter((recipe) => !fitting.includes(recipe));
  const named = (name: string | null | undefined) => recipes.find((recipe) => recipe.name === name);
  const recipe = named(chosen) ?? named(view?.recipe) ?? fitting[0] ?? recipes[0];
  const { data, error } = useResource<RecipeDetails>(recipe && `/v1/recipes/${encodeURIComponent(recipe.name)}`);
  if (recipe === undefined) return null;
  const options = [
    ...fitting.map(({ name }) => ({ id: name, label: name })),
    ...others.map(({ name }) => ({ id: name, label: t('recipe.other_rows', { recipe: name }) })),
  ];
  return (
    <>
      <Select
        label={t('recipe.recipe')}
        value={recipe.name}
        options={options}
        onChange={setChosen}
        labelled
        hint={
          <>
            <SettingWords id={`recipe:${recipe.name}`} english={recipe.title} /> · {t(`recipe_task.${recipe.task}`)}
          </>
        }
      />
      {!fitting.includes(recipe) && <p className="notice">{t('recipe.unfit')}</p>}
      {data === undefined ? <NotYet error={error} /> : <Settings key={recipe.name} details={data} onClose={onClose} />}
    </>
  );
}

/** What is wrong, and the field that it is about. */
interface Wrong {
  key: string;
  why: ReactNode;
}

function Settings({ details, onClose }: { details: RecipeDetails; onClose: () => void }) {
  const { t } = useTranslation();
  const [typed, setTyped] = useState<Typed>({});
  const [seed, setSeed] = useState('0');
  const [wrong, setWrong] = useState<Wrong>();
  const [unfolded, setUnfolded] = useState(false);
  const fields = useRef<HTMLDivElement>(null);
  const create = useCreate();
  const settings = settingsOf(details.settings, details.values, typed);
  const { first, others } = divided(settings);
  const all = others.flatMap(([, settings]) => settings);
  const changed = all.filter((setting) => isChanged(setting, typed)).length;
  const set = changes(settings, typed);

  const refuse = (key: string, why: ReactNode) => {
    setWrong({ key, why });
    if (all.some((setting) => setting.key === key)) setUnfolded(true);
    // When it is there: what is folded takes no focus.
    requestAnimationFrame(() => fields.current?.querySelector<HTMLElement>(`[data-setting="${CSS.escape(key)}"] :is(button, input, textarea)`)?.focus());
  };
  const action = useAction(async (start: boolean) => {
    setWrong(undefined);
    const broken = fields.current?.querySelector<HTMLInputElement>('input:invalid');
    if (broken?.validity.badInput === true) return refuse(broken.name, t('recipe.no_number'));
    if (broken !== undefined && broken !== null && isNoCount(broken)) return refuse(broken.name, t('recipe.no_count'));
    try {
      const plan = await planOf(details.recipe.name, set);
      await create({ plan, seed: seed.trim() }, start);
    } catch (error) {
      const key = error instanceof Refused ? fieldOf(settings, error.setting) : undefined;
      if (key === undefined) throw error;
      refuse(key, <span lang="en">{(error as Refused).message}</span>);
    }
  });
  const field = (setting: Setting) => (
    <SettingField
      key={setting.key}
      setting={setting}
      typed={typed[setting.key]}
      wrong={wrong?.key === setting.key ? wrong.why : undefined}
      onChange={(text) => setTyped((before) => ({ ...before, [setting.key]: text }))}
    />
  );
  return (
    <JobForm action={action} onClose={onClose}>
      <div className="settings-all" ref={fields}>
        <div className="settings">
          {first.map(field)}
          <Field label={t('jobs.seed')} value={seed} onChange={setSeed} hint={t('recipe.seed_hint')} />
        </div>
        <details className="fold" open={unfolded} onToggle={(event) => setUnfolded(event.currentTarget.open)}>
          <summary>
            {t('recipe.more', { count: all.length })}
            {changed > 0 && <span className="muted"> · {t('recipe.changed', { count: changed })}</span>}
          </summary>
          {others.map(([table, settings]) => (
            <fieldset key={table}>
              <legend>
                <code>{table}</code>
              </legend>
              <div className="settings">{settings.map(field)}</div>
            </fieldset>
          ))}
        </details>
      </div>
      <Preview recipe={details.recipe.name} set={set} />
    </JobForm>
  );
}

async function planOf(recipe: string, settings: Record<string, unknown>, signal?: AbortSignal): Promise<unknown> {
  return post(`/v1/recipes/${encodeURIComponent(recipe)}/plan`, { settings }, signal === undefined ? {} : { signal });
}

/** The plan that a recipe and settings come to, which are JSON. */
async function readPlan(asked: string, signal: AbortSignal): Promise<unknown> {
  const [recipe, settings] = JSON.parse(asked) as [string, Record<string, unknown>];
  return planOf(recipe, settings, signal);
}

/** What will be done, as it stands: it follows what is typed. */
function Preview({ recipe, set }: { recipe: string; set: Record<string, unknown> }) {
  const { t } = useTranslation();
  const [open, setOpen] = useState(false);
  const { shown, error } = useResource(open ? JSON.stringify([recipe, set]) : undefined, 0, undefined, readPlan);
  return (
    <details className="fold" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{t('recipe.plan')}</summary>
      {open && (error ? <Failure>{error.message}</Failure> : shown === undefined ? <Loading /> : <pre tabIndex={0}>{JSON.stringify(shown, null, 2)}</pre>)}
    </details>
  );
}

/** Whether a count is asked for and something else was typed: then no plan can be read, and no bound said. */
function isNoCount({ validity, step, value }: HTMLInputElement): boolean {
  return validity.stepMismatch || (validity.rangeUnderflow && step === '1' && Number(value) < 0);
}
