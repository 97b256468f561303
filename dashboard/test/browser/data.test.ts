import { createHash } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, signIn, type Reader } from './browser';
import { until, World } from './processes';

let world: World;
let browser: Browser;
let desk: Reader;
let page: Page;

beforeAll(async () => {
  world = await World.start();
  browser = await launch();
  desk = await reader(browser);
  page = desk.page;
  await signIn(page, world);
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

const tile = (label: string) => page.locator('.tile', { has: page.getByText(label, { exact: true }) }).locator('strong');

/** Asks the API about any federation. */
async function ask(method: string, path: string, body: unknown, bearer = world.token): Promise<Record<string, string>> {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  const response = await fetch(`${world.url}/v1/federations${path}`, { method, headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, string>;
}

/** Clients that say this of themselves, in a federation of these classes. */
async function clients(federation: string, classes: string[], facts: (i: number) => object, count: number): Promise<void> {
  const schema = { features: [{ name: 'x', unit: '1' }], target: { name: 'finding', classes } };
  await ask('POST', '', { name: federation, schema });
  const { token = '' } = await ask('POST', `/${federation}/invitations`, {});
  const join = (i: number) => {
    const name = `site-${String(i).padStart(3, '0')}`;
    const secret = createHash('sha256').update(`${federation} ${name}`).digest('hex');
    return ask('PUT', `/${federation}/clients/${name}`, { secret, facts: facts(i) }, token);
  };
  for (let i = 0; i < count; i += 20) await Promise.all(Array.from({ length: Math.min(20, count - i) }, (_, j) => join(i + j)));
}

const PALETTE = ['normal', 'pneumonia', 'covid', 'effusion'];
const skewed = (i: number) => ({ rows: 20 + i * 3, labels: { classes: Object.fromEntries(PALETTE.map((name, k) => [name, (i + k) % 4 === 0 ? '<5' : 5 + ((i * 7 + k * 31) % 60)])) } });

describe('the data of a federation whose label is a number', () => {
  it('is shown as far as sites chose to tell of it', async () => {
    world.dure('federation', 'create', 'fitbit');
    const invitation = world.dure('invite', '--note', 'Ward 3').trim();
    const people = world.people(12);
    world.join('open', invitation, people, '--part', '1/2', '--share', 'rows,labels');
    world.join('half', invitation, people, '--part', '2/2');
    await page.goto(`${world.url}/federations/fitbit`);
    await page.getByRole('navigation').getByRole('link', { name: 'Data' }).click();
    await until('all tell how many rows they have', async () => (await tile('Tell their rows').innerText()) === '12');
    const told = Number(await tile('Tell their labels').innerText());
    expect(told).toBeGreaterThan(2);
    expect(told).toBeLessThanOrEqual(6);
    await page.locator('[data-client=person-12]').getByText('not told').waitFor();
    await page.locator('[data-client] .box-plot').first().waitFor();
    expect(await page.locator('.box-plot').count()).toBe(told);
    expect(await page.locator('.bars svg').getAttribute('data-bars')).toBe('12');
    await page.getByText('As a table').click();
    await until('the table has a row for each', async () => (await page.getByRole('region', { name: 'As a table' }).getByRole('row').count()) === 13);
    await accessible(page, 'data of a number');
    await shot(page, 'data-number');
  });

  it('has the details of each client, with its rounds, its traffic and its loss', async () => {
    world.dure('job', 'start', 'fitbit', 'rounds=6', 'refit=false');
    await until('the job is over', async () => ((await world.api('GET', 'jobs/1')) as { status: string }).status === 'completed');
    await page.locator('[data-client=person-01]').getByRole('button').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('6 of 6').waitFor();
    await dialog.getByText('Ward 3').waitFor();
    expect(await dialog.locator('.spark').getAttribute('data-points')).toBe('6');
    await dialog.getByRole('img', { name: /^Training loss in job 1: .* in round 1, .* in round 6$/ }).waitFor();
    await dialog.getByText(/^mean .* median .* 5 to 95 %/).waitFor();
    await accessible(page, 'a client');
    await shot(page, 'data-client');
    await page.keyboard.press('Escape');
    await page.getByRole('navigation').getByRole('link', { name: 'Clients' }).click();
    const row = page.locator('[data-client=person-01]');
    await row.getByText('6 of 6').waitFor();
    await row.getByText('Ward 3').waitFor();
    await shot(page, 'data-clients');
    expect(desk.complaints).toEqual([]);
  });
});

describe('the data of a federation whose label is a class', () => {
  it('has classes of all together and of each client, and how far they are from one another', async () => {
    await clients('wards', PALETTE, (i) => (i % 5 === 4 ? { rows: 30 } : i === 7 ? {} : skewed(i)), 24);
    await page.goto(`${world.url}/federations/wards/data`);
    await page.locator('[data-class=covid]').waitFor();
    expect(await tile('Tell their rows').innerText()).toBe('23');
    expect(await tile('Unevenness of labels').innerText()).toMatch(/^\d\d ?%$/);
    await page.locator('[data-client=site-007]').getByText('not told').waitFor();
    await accessible(page, 'data of classes');
    await shot(page, 'data-classes');
    await page.locator('.bars .pressable').first().click();
    await page.getByRole('dialog').getByText('site-023').waitFor();
    await page.keyboard.press('Escape');
  });

  it('draws hundreds of clients in few elements, a page at a time', async () => {
    const digits = Array.from({ length: 14 }, (_, i) => `class ${i}`);
    const facts = (i: number) => ({ rows: 50 + ((i * i) % 700), labels: { classes: Object.fromEntries(digits.map((name, k) => [name, k === i % 14 ? 40 : '<5'])) } });
    await clients('many', digits, facts, 260);
    await page.goto(`${world.url}/federations/many/data`);
    await page.locator('[data-client=site-000]').waitFor();
    expect(Number(await page.locator('.bars svg').getAttribute('data-bars'))).toBeLessThanOrEqual(20);
    expect(await page.locator('[data-client]').count()).toBe(50);
    expect(await page.locator('[data-class]').count()).toBe(10);
    await page.getByRole('button', { name: 'All 14 classes' }).click();
    expect(await page.locator('[data-class]').count()).toBe(14);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.locator('[data-client=site-050]').waitFor();
    expect(await page.locator('[data-client]').count()).toBe(50);
    await accessible(page, 'data of many');
    await shot(page, 'data-many');
    expect(desk.complaints).toEqual([]);
  });
});

describe('on a phone, in Korean and in the dark', () => {
  it('fits into the window', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 1400, dark: true });
    await signIn(phone.page, world);
    for (const name of ['wards', 'fitbit', 'many']) {
      await phone.page.goto(`${world.url}/federations/${name}/data`);
      await phone.page.locator('[data-client] .strip').first().waitFor();
      await shot(phone.page, `data-phone-${name}`);
      expect(await fits(phone.page), name).toBe(true);
      await accessible(phone.page, name);
    }
    await phone.page.goto(`${world.url}/federations/fitbit/clients`);
    await phone.page.getByRole('button', { name: 'person-01' }).click();
    await phone.page.getByRole('dialog').locator('.spark').waitFor();
    await shot(phone.page, 'data-phone-client');
    expect(await fits(phone.page), 'a client').toBe(true);
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });
});
