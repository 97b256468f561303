import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, signIn, type Reader } from './browser';
import { until, World } from './processes';
import type { Schema } from '../../src/api/types';
import korean from '../../src/locales/settings.ko.json';

let world: World;
let browser: Browser;
let desk: Reader;
let page: Page;

beforeAll(async () => {
  world = await World.start();
  browser = await launch();
  desk = await reader(browser, { height: 1000 });
  page = desk.page;
  world.dure('federation', 'create', 'fitbit');
  await signIn(page, world, '/federations/fitbit/jobs');
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

/** The field of a setting, whatever its kind. */
const setting = (target: Page, key: string) => target.locator(`[data-setting="${key}"]`);
const input = (key: string) => setting(page, key).locator('input, textarea');
const press = (name: string) => page.getByRole('dialog').getByRole('button', { name, exact: true }).click();
/** What is wrong with a setting, where that is said. */
const wrong = (key: string) => setting(page, key).locator('.wrong').innerText();

async function open(): Promise<void> {
  await page.goto(`${world.url}/federations/fitbit/jobs`);
  await page.getByRole('button', { name: 'New job' }).click();
  await input('rounds').waitFor();
}

async function choose(key: string, option: string): Promise<void> {
  await setting(page, key).getByRole('button').click();
  await page.getByRole('option', { name: option, exact: true }).click();
}

const plan = (...overrides: string[]) => JSON.parse(world.dure('recipe', 'plan', 'fitbit', ...overrides)) as unknown;
const planOfJob = async (job: number) => ((await world.api('GET', `jobs/${job}`)) as { plan: unknown }).plan;

describe('a job from a recipe', () => {
  it('is of the federation’s recipe, and recipes about other rows come last', async () => {
    await open();
    const chosen = page.getByRole('button', { name: /Recipe$/ });
    expect(await chosen.innerText()).toBe('fitbit');
    expect(await input('rounds').getAttribute('placeholder')).toBe('20');
    expect(await input('training.optimizer.learning_rate').getAttribute('placeholder')).toBe('0.001');
    expect(await input('rounds').getAttribute('max')).toBe('1000000');
    await accessible(page, 'a job from a recipe');
    await shot(page, 'recipe');
    await chosen.click();
    const names = await page.getByRole('option').allInnerTexts();
    expect(names.slice(0, 3)).toEqual(['fitbit', 'fitbit-personal', 'news – other data']);
    await shot(page, 'recipe-choice');
    await page.keyboard.press('Escape');
  });

  it('has every setting of the schema, by table, with what it is', async () => {
    await page.getByText(/^\d+ more settings/).click();
    expect(await page.locator('.fold legend').allInnerTexts()).toEqual(['cohort', 'evaluate', 'model', 'personalise', 'plan', 'split', 'stop', 'training']);
    await setting(page, 'stop.patience').getByText('Stop after so many evaluations without a new best').waitFor();
    expect(await setting(page, 'refit').getByRole('switch').isChecked()).toBe(true);
    await accessible(page, 'all settings');
    await setting(page, 'cohort.reassign').scrollIntoViewIfNeeded();
    await shot(page, 'recipe-all');
    await choose('cohort.select.name', 'oort');
    await setting(page, 'cohort.select.preferred_s').waitFor();
    expect(await input('cohort.select.penalty').getAttribute('placeholder')).toBe('2');
  });

  it('says at a field what the server refuses there, also where it is folded', async () => {
    await open();
    await input('rounds').fill('0');
    await press('Create');
    expect(await wrong('rounds')).toBe('rounds = 0 is not allowed: 1 to 1000000');
    expect(await input('rounds').evaluate((field) => field === document.activeElement)).toBe(true);
    await accessible(page, 'a refused setting');
    await shot(page, 'recipe-refused');
    await input('rounds').fill('3');
    await choose('strategy.name', 'fedprox');
    await press('Create');
    expect(await wrong('strategy.mu')).toContain('strategy.mu = nothing is not allowed: it has to be given');
    await input('strategy.mu').fill('0.1');
    await input('cohort.size').fill('2');
    await input('cohort.quorum').fill('3');
    await press('Create');
    expect(await wrong('cohort.quorum')).toContain('cohort.quorum = 3 and cohort.size = 2 contradict each other');
    await shot(page, 'recipe-contradiction');
    await input('cohort.quorum').fill('');
    await page.getByText(/^\d+ more settings/).click();
    await input('stop.metric').fill('mea');
    await page.getByText(/^\d+ more settings · 1 changed/).click();
    await press('Create');
    expect(await wrong('stop.metric')).toContain('stop.metric = mea is not allowed: one of mae');
    await input('rounds').fill('');
    await input('rounds').pressSequentially('1e');
    await press('Create');
    expect(await wrong('rounds')).toBe('This is not a number.');
    for (const count of ['-3', '2.5']) {
      await input('rounds').fill(count);
      await press('Create');
      await until('it is no count', async () => (await wrong('rounds')) === 'This is not a whole number of 0 or more.');
    }
  });

  it('shows the plan as it stands, and what is wrong with it', async () => {
    await open();
    await page.getByText('The plan', { exact: true }).click();
    const shown = page.locator('.fold pre');
    await shown.waitFor();
    expect(JSON.parse(await shown.innerText())).toEqual(plan());
    await input('rounds').fill('7');
    await shown.getByText('"rounds": 7').waitFor();
    await shot(page, 'recipe-plan');
    await input('rounds').fill('0');
    await page.getByRole('alert').getByText('rounds = 0 is not allowed').waitFor();
  });

  it('is refused in the federation’s words where the recipe is about other rows', async () => {
    await open();
    await page.getByRole('button', { name: /Recipe$/ }).click();
    await page.getByRole('option', { name: /^news –/ }).click();
    await page.getByText('This recipe is about other data').waitFor();
    await setting(page, 'rounds').waitFor();
    await accessible(page, 'a recipe that does not fit');
    await shot(page, 'recipe-unfit');
    await press('Create');
    await page.getByRole('alert').getByText('schema is another than the federation').waitFor();
    expect(await world.api('GET', 'jobs')).toEqual([]);
  });

  it('is created by keyboard alone, and is the command line’s to the last digit', async () => {
    await open();
    await input('rounds').focus();
    await page.keyboard.type('3');
    await page.keyboard.press('Tab');
    await page.keyboard.type('fedp');
    await page.keyboard.press('Tab');
    await setting(page, 'strategy.mu').waitFor();
    await input('strategy.mu').focus();
    await page.keyboard.type('0.1');
    await input('training.optimizer.learning_rate').focus();
    await page.keyboard.type('3e-4');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/jobs/1');
    const same = ['rounds=3', 'strategy={name="fedprox",learning_rate=1.0,mu=0.1}', 'training.optimizer.learning_rate=3e-4'];
    expect(JSON.stringify(await planOfJob(1))).toBe(JSON.stringify(plan(...same)));
    await page.getByText('Not started').first().waitFor();
  });

  it('is created and started', async () => {
    world.join('agent', world.dure('invite').trim(), world.people(3));
    await open();
    await input('rounds').fill('2');
    await page.getByText(/^\d+ more settings/).click();
    await setting(page, 'refit').locator('.switch').click();
    await input('personalise.epochs').fill('1');
    await input('cohort.min_clients').fill('3');
    await press('Create and start');
    await page.waitForURL('**/jobs/2');
    await page.getByRole('heading', { name: 'On test rows' }).waitFor();
    const same = ['rounds=2', 'refit=false', 'personalise.epochs=1', 'cohort.min_clients=3'];
    expect(await planOfJob(2)).toEqual(plan(...same));
  });

  it('waits where another is active', async () => {
    world.dure('job', 'start', 'fitbit', 'rounds=100000', 'training.epochs=40');
    await open();
    await page.getByText('Job 3 is active').waitFor();
    expect(await page.getByRole('button', { name: 'Create and start' }).count()).toBe(0);
  });

  it('is made in Korean, on a phone and in the dark', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
    await signIn(phone.page, world, '/federations/fitbit/jobs');
    await phone.page.getByRole('button', { name: '새 작업' }).click();
    await setting(phone.page, 'rounds').waitFor();
    expect(await fits(phone.page)).toBe(true);
    await accessible(phone.page, 'a recipe on a phone');
    await shot(phone.page, 'recipe-phone');
    await phone.page.getByText(/^그 밖의 설정/).click();
    await setting(phone.page, 'cohort.reassign').scrollIntoViewIfNeeded();
    expect(await phone.page.locator('[data-setting] [lang=en]').count(), 'texts in another language').toBe(0);
    expect(await fits(phone.page)).toBe(true);
    await accessible(phone.page, 'all settings on a phone');
    await shot(phone.page, 'recipe-phone-all');
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });

  it('is described in Korean, whichever recipe and whatever is chosen', async () => {
    const ask = async (path: string) => (await (await fetch(`${world.url}${path}`, { headers: { authorization: `Bearer ${world.token}` } })).json()) as unknown;
    const recipes = (await ask('/v1/recipes')) as { name: string }[];
    const described = new Set(recipes.map(({ name }) => `recipe:${name}`));
    for (const { name } of recipes) describedIn(((await ask(`/v1/recipes/${name}`)) as { settings: Schema }).settings, '', described);
    expect([...described].sort()).toEqual(Object.keys(korean).sort());
  });

  it('complains of nothing in the console', () => {
    expect(desk.complaints).toEqual([]);
  });
});

/** The keys of all descriptions in a schema, whatever is chosen. */
function describedIn(schema: Schema, key: string, found: Set<string>): void {
  const named = (choice: Schema) => choice.properties?.['name']?.const ?? choice.const ?? '';
  const tables = (schema.oneOf ?? []).filter((choice) => choice.properties?.['name'] !== undefined);
  for (const choice of schema.oneOf ?? []) found.add(`${key}:${named(choice)}`);
  const inner = tables.length > 0 ? tables : [schema];
  for (const { properties = {} } of inner) {
    for (const [name, one] of Object.entries(properties)) if (name !== 'name' || tables.length === 0) describedIn(one, key === '' ? name : `${key}.${name}`, found);
  }
  if (tables.length === 0 && schema.properties === undefined) found.add(key);
}
