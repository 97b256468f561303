import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, signIn, type Reader } from './browser';
import { until, World } from './processes';

let world: World;
let browser: Browser;
let desk: Reader;
let page: Page;

/** A job that has rounds for as long as the tests look at it. */
const LONG = ['rounds=100000', 'refit=false', 'training.epochs=40', 'cohort.quorum=2', 'cohort.deadline_s=600'];
const INJECTION = '<script>alert(1)</script><img src=x onerror=alert(2)>';

beforeAll(async () => {
  world = await World.start();
  browser = await launch();
  desk = await reader(browser);
  page = desk.page;
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

/** Goes to a screen, and waits until it is there: until then the fields of the one before are. */
async function go(name: string): Promise<void> {
  await page.getByRole('navigation').getByRole('link', { name }).click();
  await page.getByRole('heading', { level: 1, name: name === 'Overview' ? 'fitbit' : name, exact: true }).waitFor();
}

const tile = (target: Page, label: string) => target.locator('.tile', { has: target.getByText(label, { exact: true }) }).locator('strong');
const numberIn = async (target: Page, label: string) => Number((await tile(target, label).innerText()).replaceAll(',', ''));
/** The last sequence number that the page has told of. */
const told = (target: Page) => numberIn(target, 'Journal events');

describe('the dashboard', () => {
  it('asks for the token first, and refuses another', async () => {
    await page.goto(`${world.url}/federations/fitbit/clients`);
    await page.waitForURL('**/sign-in?back=*');
    await accessible(page, 'sign-in');
    await shot(page, 'sign-in');
    await page.getByRole('textbox').fill('0'.repeat(64));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This is not the operator').waitFor();
    await signIn(page, world);
    const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]) + document.cookie);
    expect(kept).not.toContain(world.token);
    await page.getByText('There is no federation yet.').waitFor();
    await accessible(page, 'no federation');
    await shot(page, 'federations-none');
  });

  it('creates a federation, by keyboard alone', async () => {
    await page.getByRole('button', { name: 'New federation' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('other');
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // The dialog gives the focus back to what has opened it.
    await until('the button has the focus', () => page.evaluate(() => document.activeElement?.textContent === 'New federation'));
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.type('wards');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/federations/wards');
    await page.getByText('No client has joined yet: invite one.').waitFor();
    await shot(page, 'overview-empty');
    await accessible(page, 'an empty federation');
  });

  it('shows a federation that the command line makes', async () => {
    await page.getByRole('link', { name: 'Dure' }).click();
    world.dure('federation', 'create', 'fitbit');
    await page.getByRole('link', { name: /^fitbit/ }).waitFor();
    await shot(page, 'federations');
    await page.getByRole('link', { name: /^fitbit/ }).click();
    await page.locator('[data-line=live]').waitFor();
  });

  it('invites by one line that works, and shows who joins as they join', async () => {
    await go('Clients');
    await page.getByRole('main').getByRole('button', { name: 'Invite' }).first().click();
    await page.getByLabel('For whom').fill('ward 3');
    await page.getByRole('button', { name: 'Make an invitation' }).click();
    const line = await page.getByLabel('Command for sites').first().innerText();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await accessible(page, 'an invitation');
    await shot(page, 'invite');
    await page.keyboard.press('Escape');
    const [, invitation = ''] = /^DURE_INVITATION='([^']+)' dure join --data DIR$/.exec(line) ?? [];
    world.join('agent', invitation, world.people(4));
    for (const name of ['person-01', 'person-04']) await page.locator(`[data-client=${name}][data-state=ready]`).waitFor();
    const rows = await page.locator('[data-client=person-01] td').nth(1).innerText();
    expect(Number(rows)).toBeGreaterThan(5);
    await accessible(page, 'clients');
    await shot(page, 'clients');
  });

  it('shows rounds and their curve as they come', async () => {
    await go('Jobs');
    await page.getByText('No job yet: create one.').waitFor();
    world.dure('job', 'start', 'fitbit', ...LONG);
    await page.getByRole('link', { name: 'Job 1: fitbit' }).click();
    const chart = page.locator('.chart');
    const points = async () => Number(await chart.getAttribute('data-points'));
    await until('the curve has points', async () => (await points()) >= 3);
    const before = await points();
    await until('the curve grows', async () => (await points()) >= before + 3);
    await page.locator('[data-round^="1-train-"]').first().waitFor();
    await accessible(page, 'a job');
    await shot(page, 'job');
  });

  it('saves the curve as a picture and as a table', async () => {
    const saved = async (name: string) => {
      const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name }).click()]);
      return readFileSync(await download.path());
    };
    expect((await saved('PNG')).subarray(1, 4).toString()).toBe('PNG');
    const table = (await saved('CSV')).toString().split('\r\n');
    expect(table[0]).toBe('round,version,asked,answers,bytes_up,seconds,train_loss,mae,pearson_r,r2,rmse');
    expect(table[1]).toMatch(/^1,2,4,4,\d+,[\d.]+,[\d.]+,/);
  });

  it('pauses, steps by hand and goes on', async () => {
    const press = (name: string) => page.getByRole('main').getByRole('button', { name, exact: true }).click();
    await press('Pause');
    await page.getByText('The job is paused').waitFor();
    await press('Train one round');
    await press('Aggregate');
    await page.getByText('The job is paused').waitFor();
    await page.getByLabel('Rounds to do').fill('100000');
    await press('Resume');
    await page.getByRole('button', { name: 'Pause', exact: true }).waitFor();
    const job = await world.api('GET', 'jobs/1');
    expect(job).toMatchObject({ status: 'running' });
  });

  it('shows a round with its clients', async () => {
    // Rounds that come all the time push the others down, away from whoever wants to press one.
    await world.api('POST', 'jobs/1/pause');
    await until('nothing happens any more', quiet);
    await page.locator('[data-round^="1-train-"] a').first().click();
    await page.getByRole('region', { name: 'Clients of this round' }).waitFor();
    await page.locator('[data-client=person-01]').waitFor();
    await accessible(page, 'a round');
    await shot(page, 'round');
    await world.api('POST', 'jobs/1/resume');
  });

  it('shows what a client says as text, whatever it says', async () => {
    const invitation = (await world.api('POST', 'invitations', {})) as { token: string };
    const secret = createHash('sha256').update('liar').digest('hex');
    await world.api('PUT', 'clients/liar', { secret }, invitation.token);
    const task = await until('the client is asked', async () => {
      const response = await fetch(`${world.url}/v1/federations/fitbit/clients/liar/task?wait=20`, { headers: { authorization: `Bearer ${secret}` } });
      return response.status === 200 ? ((await response.json()) as { task: string }) : undefined;
    });
    await world.api('POST', `tasks/${task.task}/decline`, { reason: INJECTION }, secret);
    await go('Overview');
    await page.getByText(INJECTION).first().waitFor();
    await shot(page, 'overview');
    await accessible(page, 'the overview');
    await go('Clients');
    await page.getByRole('searchbox').fill('onerror');
    const row = page.locator('[data-client=liar]');
    await row.getByText(INJECTION).waitFor();
    await until('nobody else is found', async () => (await page.locator('[data-client]').count()) === 1);
    await go('Journal');
    await page.getByRole('searchbox').fill('alert(1)');
    await until('one event is found', async () => (await page.locator('[data-sequence]').count()) === 1);
    await page.locator('[data-sequence]').click();
    await page.locator('.verbatim pre').getByText(INJECTION).waitFor();
    expect(await page.locator('main script, main img').count()).toBe(0);
    expect(desk.complaints).toEqual([]);
  });

  it('holds the chain of hashes, and shows every event word for word', async () => {
    await page.locator('[data-chain=holds]').waitFor();
    const sequence = Number(await page.locator('[data-sequence]').getAttribute('data-sequence'));
    const shown = await page.locator(`[data-sequence="${sequence}"] pre`).innerText();
    world.dure('federation', 'export', '--out', world.path('journal.jsonl'));
    const line = readFileSync(world.path('journal.jsonl'), 'utf8').split('\n')[sequence - 1];
    expect(line).toContain(`"event":${shown}}`);
    await accessible(page, 'the journal');
    await page.getByRole('searchbox').fill('');
    await until('all events are listed', async () => (await page.locator('[data-sequence]').count()) === 100);
    await shot(page, 'journal');
  });

  it('says when the line is cut and when it is back, and no event is lost', async () => {
    await go('Overview');
    const before = await told(page);
    await world.kill();
    await page.locator('[data-line=cut]').waitFor();
    await page.getByRole('alert').waitFor();
    await shot(page, 'line-cut');
    await world.serve();
    await page.locator('[data-line=live]').waitFor();
    expect(await page.getByRole('alert').count()).toBe(0);
    await until('events come again', async () => (await told(page)) > before + 10);
    // The chain is only held if each event followed from the one before.
    await go('Journal');
    await page.locator('[data-chain=holds]').waitFor();
    await world.api('POST', 'jobs/1/pause');
    const { journal } = (await until('nothing happens any more', quiet)) as { journal: { sequence: string } };
    await go('Overview');
    await until('the page has every event', async () => (await told(page)) === Number(journal.sequence));
  });

  it('evicts a client, with the reason', async () => {
    await go('Clients');
    await page.getByRole('searchbox').fill('liar');
    await page.getByRole('button', { name: 'liar' }).click();
    await page.getByLabel('Reason', { exact: true }).fill('it lies');
    await shot(page, 'client');
    await page.getByRole('button', { name: 'Evict for good' }).click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.locator('[data-client=liar][data-state=evicted]').waitFor();
    expect(await world.api('GET', 'clients/liar')).toMatchObject({ state: 'evicted', reason: 'it lies' });
  });

  it('promotes a version, and takes that back', async () => {
    await go('Models');
    const promote = async (version: number) => {
      await page.getByRole('button', { name: `Promote version ${version}`, exact: true }).click();
      await page.getByRole('dialog').getByRole('button', { name: 'Promote' }).click();
      await page.locator('[data-alias=production]').getByText(`version ${version}`).waitFor();
    };
    const newest = Number(await page.locator('[data-version]').first().getAttribute('data-version'));
    await promote(newest - 1);
    await promote(newest);
    await accessible(page, 'models');
    await shot(page, 'models');
    await page.getByRole('button', { name: `Roll back to ${newest - 1}` }).click();
    await page.locator('[data-alias=production]').getByText(`version ${newest - 1}`).waitFor();
    expect(await world.api('GET', 'aliases')).toMatchObject([{ alias: 'production', version: newest - 1 }]);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: `Download version ${newest}`, exact: true }).click()]);
    const sha256 = createHash('sha256').update(readFileSync(await download.path())).digest('hex');
    expect(await world.api('GET', `models/${newest}`)).toMatchObject({ sha256 });
  });

  it('creates a job from a plan', async () => {
    await world.api('POST', 'jobs/1/abort');
    await go('Jobs');
    await page.getByRole('button', { name: 'New job' }).click();
    await page.getByRole('tab', { name: 'From a plan' }).click();
    await page.getByLabel('Plan (JSON)').fill('{"name": 3}');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Plan (JSON)').fill(world.dure('recipe', 'plan', 'fitbit', 'rounds=2', 'refit=false'));
    await shot(page, 'job-new');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.waitForURL('**/jobs/2');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { name: 'On test rows' }).waitFor();
    await shot(page, 'job-done');
  });

  it('complains of nothing in the console', () => {
    expect(desk.complaints).toEqual([]);
  });
});

describe('on a phone, in Korean and in the dark', () => {
  it('shows everything, within the window', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
    await signIn(phone.page, world);
    expect(await phone.page.locator('html').getAttribute('lang')).toBe('ko');
    await phone.page.getByRole('link', { name: /^fitbit/ }).click();
    await phone.page.locator('[data-line=live]').waitFor();
    const screens = ['개요', '클라이언트', '학습 작업', '모델', '저널'];
    for (const [i, name] of screens.entries()) {
      await phone.page.getByRole('navigation').getByRole('link', { name }).click();
      await phone.page.getByRole('heading', { level: 1 }).waitFor();
      await phone.page.getByText('불러오는 중').waitFor({ state: 'detached' });
      await shot(phone.page, `phone-${i + 1}`);
      expect(await fits(phone.page), name).toBe(true);
      await accessible(phone.page, name);
    }
    await phone.page.goto(`${world.url}/federations/fitbit/jobs/2`);
    await phone.page.locator('.chart canvas').waitFor();
    await shot(phone.page, 'phone-job');
    expect(await fits(phone.page), 'a job').toBe(true);
    await accessible(phone.page, 'a job');
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });

  it('changes language and light where it is asked to, and remembers that', async () => {
    const choose = async (control: string, option: string) => {
      await page.getByRole('button', { name: control }).click();
      await page.getByRole('option', { name: option }).click();
    };
    await choose('Language', '한국어');
    await choose('화면 테마', '다크');
    await page.reload();
    await page.getByRole('heading', { name: '학습 곡선' }).waitFor();
    await page.locator('.chart canvas').waitFor();
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    await shot(page, 'korean');
    await accessible(page, 'Korean');
    expect(await page.evaluate(() => Object.keys(localStorage).sort())).toEqual(['dure.language', 'dure.theme']);
  });
});

describe('the page', () => {
  it('comes with a strict policy, packed, and its files for ever', async () => {
    const response = await fetch(`${world.url}/federations/fitbit/jobs/1`, { headers: { 'accept-encoding': 'gzip' } });
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'");
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    const [script = ''] = /\/assets\/index-[\w-]+\.js/.exec(await response.text()) ?? [];
    const file = await fetch(`${world.url}${script}`, { headers: { 'accept-encoding': 'gzip, br' } });
    expect(file.headers.get('content-encoding')).toBe('br');
    expect(file.headers.get('cache-control')).toContain('immutable');
    expect((await fetch(`${world.url}/v1/nowhere`)).status).toBe(404);
    expect((await fetch(`${world.url}/assets/none.js`)).headers.get('content-type')).toBe('application/problem+json');
  });
});

/** The federation, once its journal has not grown between two looks and nothing is open. */
async function quiet(): Promise<unknown> {
  const job = (await world.api('GET', 'jobs/1')) as { status: string; round: unknown; waiting: string };
  if (job.status !== 'paused' || job.round !== null || !job.waiting.startsWith('the job is paused')) return undefined;
  const list = await fetch(`${world.url}/v1/federations/fitbit`, { headers: { authorization: `Bearer ${world.token}` } });
  return list.json();
}
