// A new job: from a recipe, or from a plan that was made elsewhere.
import { useRef, useState, type ReactNode, type SubmitEvent } from 'react';
import { Tab, TabList, TabPanel, Tabs } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { useNavigate } from 'react-router';
import { post, under } from '../api/client';
import type { JobView, RecipeView } from '../api/types';
import { Button, Dialog, Field } from '../components/controls';
import { NotYet } from '../components/guard';
import { Failure } from '../components/pieces';
import { address, useHere } from '../federation';
import { readSpec, type Spec } from '../plan';
import { useAction, useFailureWords, useResource, type Action } from '../use';
import { FromRecipe } from './from-recipe';

export function NewJob({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <Dialog open={open} title={t('jobs.create')} onClose={onClose} wide>
      {open && <Ways onClose={onClose} />}
    </Dialog>
  );
}

function Ways({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const { data, error } = useResource<RecipeView[]>('/v1/recipes');
  if (data === undefined) return <NotYet error={error} />;
  if (data.length === 0) return <FromPlan onClose={onClose} />;
  return (
    <Tabs className="ways">
      <TabList aria-label={t('recipe.from')} className="tabs">
        <Tab id="recipe">{t('recipe.from_recipe')}</Tab>
        <Tab id="plan">{t('recipe.from_plan')}</Tab>
      </TabList>
      <TabPanel id="recipe">
        <FromRecipe recipes={data} onClose={onClose} />
      </TabPanel>
      <TabPanel id="plan">
        <FromPlan onClose={onClose} />
      </TabPanel>
    </Tabs>
  );
}

function FromPlan({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [plan, setPlan] = useState('');
  const [seed, setSeed] = useState('0');
  const create = useCreate();
  const action = useAction(async (start: boolean) => {
    const spec = readSpec(plan, seed);
    if (spec === undefined) throw new Error(t('jobs.not_json'));
    await create(spec, start);
  });
  const read = async (file: File | undefined) => {
    if (file) setPlan(await file.text());
  };
  return (
    <JobForm action={action} onClose={onClose}>
      <p className="muted">
        {t('jobs.plan_hint')} <code>dure recipe plan fitbit rounds=50 &gt; plan.json</code>
      </p>
      <Field label={t('jobs.plan')} lines={9} value={plan} onChange={setPlan} required />
      <div className="fields">
        <label className="file">
          <span>{t('jobs.file')}</span>
          <input type="file" accept="application/json,.json" onChange={(event) => void read(event.target.files?.[0])} />
        </label>
        <Field label={t('jobs.seed')} value={seed} onChange={setSeed} />
      </div>
    </JobForm>
  );
}

/** What makes a job, above the buttons that do it. Enter creates it, and starts nothing. */
export function JobForm({ action, onClose, children }: { action: Action<[start: boolean]>; onClose: () => void; children: ReactNode }) {
  const { t } = useTranslation();
  const active = useHere().view?.active_job ?? undefined;
  const submit = (event: SubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const { submitter } = event.nativeEvent as unknown as { submitter: HTMLButtonElement | null };
    void action.run(submitter?.value === 'start');
  };
  return (
    <form onSubmit={submit} noValidate>
      {children}
      <div className="job-foot">
        {action.failure !== undefined && <Failure>{action.failure}</Failure>}
        {active !== undefined && <p className="muted">{t('recipe.busy', { job: active })}</p>}
        <div className="dialog-foot">
          <Button onPress={onClose}>{t('common.cancel')}</Button>
          <Button look={active === undefined ? 'plain' : 'first'} type="submit" isDisabled={action.busy}>
            {t('common.create')}
          </Button>
          {active === undefined && (
            <Button look="first" type="submit" name="then" value="start" isDisabled={action.busy}>
              {t('recipe.create_start')}
            </Button>
          )}
        </div>
      </div>
    </form>
  );
}

/** Creates a job, starts it if that is wanted, and shows it. The same once more is the same job, also if the first answer was lost. */
export function useCreate(): (spec: Spec, start: boolean) => Promise<void> {
  const { t } = useTranslation();
  const { name } = useHere();
  const navigate = useNavigate();
  const words = useFailureWords();
  const sent = useRef({ body: '', key: '' });
  return async (spec, start) => {
    const body = JSON.stringify(spec);
    if (sent.current.body !== body) sent.current = { body, key: drawn() };
    const { job } = await post<JobView>(under(name, 'jobs'), spec, { headers: { 'idempotency-key': sent.current.key } });
    if (start) {
      await post(under(name, 'jobs', job, 'start')).catch((error: unknown) => {
        throw new Error(t('recipe.not_started', { job, why: words(error) }));
      });
    }
    await navigate(address(name, 'jobs', job));
  };
}

function drawn(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
