import { readFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, signIn, type Reader } from './browser';
import { until, World } from './processes';

let world: World;
let browser: Browser;
let desk: Reader;
let page: Page;
/** Where two simulations are shown, and somebody who looks at them. */
let link = '';
let viewer: Reader;

const SHORT = ['rounds=6', 'cohort.quorum=2', 'training.epochs=3'];

beforeAll(async () => {
  world = await World.start();
  browser = await launch();
  world.dure('federation', 'create', 'fitbit');
  world.join('agent', world.dure('invite').trim(), world.people(5));
  await train(1, ...SHORT);
  await train(3, ...SHORT, 'training.optimizer.learning_rate=0.01', 'refit=false');
  world.dure('simulate', 'fitbit', '--data', world.people(5), '--out', world.path('runs/run-a'), '--baselines', ...SHORT);
  world.dure('simulate', 'fitbit', '--data', world.people(5), '--out', world.path('runs/run-b'), ...SHORT, 'training.epochs=1');
  // More events than the page keeps.
  world.dure('simulate', 'fitbit', 'rounds=350', 'refit=false', 'training.epochs=1', '--out', world.path('runs/run-c'));
  link = await world.view(world.path('runs'));
  desk = await reader(browser);
  page = desk.page;
  await signIn(page, world);
  viewer = await reader(browser);
  await viewer.page.goto(link);
  await viewer.page.waitForURL((url) => url.pathname === '/compare');
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

/** Starts a job, and waits until it and its refit are over. */
async function train(job: number, ...settings: string[]): Promise<void> {
  world.dure('job', 'start', 'fitbit', ...settings);
  await until(`job ${job} is over`, async () => {
    const jobs = (await world.api('GET', 'jobs')) as { job: number; status: string }[];
    return jobs.some((one) => one.job >= job) && jobs.every(({ status }) => status === 'completed');
  });
}

/** An address where simulations are shown. */
const shown = (path: string) => `${new URL(link).origin}${path}`;
const lines = (target: Page) => target.locator('[data-line-of]').evaluateAll((items) => items.map((item) => item.getAttribute('data-line-of')));
const drawn = async (target: Page) => Number(await target.locator('.chart').getAttribute('data-series'));

async function saved(name: string, page: Page = desk.page): Promise<Buffer> {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name, exact: true }).click()]);
  return readFileSync(await download.path());
}

const rows = async (page: Page) => (await saved('CSV by client', page)).toString().trim().split('\r\n').slice(1);

describe('the curves of a job', () => {
  it('stand alone where nothing else is known', async () => {
    await page.goto(`${world.url}/federations/fitbit/jobs/1`);
    await page.locator('.chart canvas').waitFor();
    expect(await drawn(page)).toBe(1);
  });

  it('have baselines beside them where they are known', async () => {
    const { page } = viewer;
    await page.goto(shown('/federations/run-a/jobs/1'));
    await until('the baselines are there', async () => (await lines(page)).join() === 'global,central,local');
    const { baselines } = JSON.parse(readFileSync(world.path('runs/run-a/result.json'), 'utf8')) as { baselines: Record<string, Record<string, number>> };
    const written = new Intl.NumberFormat('en', { minimumSignificantDigits: 4, maximumSignificantDigits: 4 });
    await page.getByRole('button', { name: `Centralised, test rows ${written.format(baselines['central']?.['mae'] ?? 0)}` }).waitFor();
    expect(await page.locator('.chart').getAttribute('aria-label')).toMatch(/^MAE by Round\. Global: [\d.,]+ at the end; Centralised, test rows: /);
    await shot(page, 'job-baselines');
    await accessible(page, 'baselines');
  });

  it('have a legend that is a switch, by keyboard', async () => {
    const { page } = viewer;
    const local = page.getByRole('button', { name: /^Local only, test rows/ });
    await local.focus();
    await page.keyboard.press('Space');
    expect(await local.getAttribute('aria-pressed')).toBe('false');
    await until('the line is gone', async () => (await drawn(page)) === 2);
    await page.keyboard.press('Space');
    await until('the line is back', async () => (await drawn(page)) === 3);
    await page.goto(shown('/federations/run-a/jobs/2'));
    await page.getByRole('rowheader', { name: 'Local only' }).waitFor();
    await shot(page, 'job-tested');
  });

  it('are drawn by client: the spread, whoever is chosen, and the best, the worst and the one in the middle', async () => {
    await page.getByRole('button', { name: 'By client' }).click();
    await page.locator('[data-line-of=spread]').waitFor();
    const field = page.getByRole('combobox');
    await field.fill('02');
    await page.getByRole('option', { name: 'person-02' }).click();
    await field.fill('person-04');
    await page.getByRole('option', { name: 'person-04' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Best, median, worst' }).click();
    await page.getByRole('button', { name: '(worst)' }).first().waitFor();
    // Whoever was chosen and is the best as well has one line.
    const all = await lines(page);
    expect(all.slice(0, 5)).toEqual(['global', 'spread', 'spread-median', 'client person-02', 'client person-04']);
    const names = await page.locator('[data-line-of]').allInnerTexts();
    for (const which of ['best', 'median', 'worst']) expect(names.filter((name) => name.includes(`(${which})`)), which).toHaveLength(1);
    await shot(page, 'job-by-client');
    await accessible(page, 'curves by client');
    await page.locator('[data-line-of="client person-04"]').getByRole('button', { name: /^Take person-04/ }).click();
    await page.locator('[data-line-of="client person-04"]').waitFor({ state: 'detached' });
  });

  it('are of each client what the journal says of it, and can be taken along', async () => {
    const written = (await saved('CSV by client')).toString().trim().split('\r\n').map((row) => row.split(','));
    expect(written[0]).toEqual(['round', 'client', 'weight', 'bytes_up', 'train_loss', 'mae', 'pearson_r', 'r2', 'rmse']);
    expect(written).toHaveLength(1 + 6 * 5);
    world.dure('federation', 'export', '--out', world.path('journal.jsonl'));
    const journal = readFileSync(world.path('journal.jsonl'), 'utf8').trim().split('\n').map((line) => (JSON.parse(line) as { event: Record<string, unknown> }).event);
    const answer = (round: string) => journal.find((event) => event['round'] === round && event['client'] === 'person-03' && event['type'] === 'answer_accepted')?.['answer'] as {
      update?: { scalars: { train_loss: number } };
      evaluated?: { sums: { global: { absolute_error: { mean: number } } } };
    };
    const row = written.find(([round, client]) => round === '6' && client === 'person-03') ?? [];
    expect([Number(row[4]), Number(row[5])]).toEqual([answer('1-train-6-1').update?.scalars.train_loss, answer('1-evaluate-6-1').evaluated?.sums.global.absolute_error.mean]);
    expect((await saved('PNG')).subarray(1, 4).toString()).toBe('PNG');
  });
});

describe('the curves of clients', () => {
  it('come from the journal where the page no longer has a round', async () => {
    const { page } = viewer;
    await page.goto(shown('/federations/run-c/jobs/1'));
    await until('the page has every round', async () => (await page.locator('.chart').getAttribute('data-points')) === '350');
    await page.getByRole('button', { name: 'By client' }).click();
    await page.locator('[data-line-of=spread]').waitFor();
    expect(await rows(page)).toHaveLength(350 * 33);
    await shot(page, 'job-long');
  });

  it('are those of the past in the past', async () => {
    const { page } = viewer;
    await page.getByRole('button', { name: 'Time travel' }).click();
    await page.getByRole('slider').focus();
    for (let i = 0; i < 5; i += 1) await page.keyboard.press('PageDown');
    const points = async () => Number(await page.locator('.chart').getAttribute('data-points'));
    await until('half of the rounds are shown', async () => (await points()) < 250);
    await until('their clients are shown, too', async () => (await rows(page)).length === 33 * (await points()));
    await page.getByRole('button', { name: 'Back to now' }).click();
  });
});

describe('jobs', () => {
  it('are ticked and compared', async () => {
    await page.goto(`${world.url}/federations/fitbit/jobs`);
    await page.getByRole('checkbox', { name: 'Compare job 3' }).check();
    await page.getByRole('checkbox', { name: 'Compare job 1' }).focus();
    await page.keyboard.press('Space');
    await shot(page, 'jobs-ticked');
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await page.waitForURL('**/federations/fitbit/compare?jobs=1,3');
    await until('both jobs are there', async () => (await lines(page)).join() === 'fitbit:1,fitbit:3');
    await page.locator('[data-key="work.training.optimizer.learning_rate"]').waitFor();
    await page.locator('[data-compared="fitbit:1"]').getByText('Personalised').waitFor();
    await shot(page, 'compare');
    await accessible(page, 'a comparison');
    for (const along of ['By federation time', 'By bytes received']) {
      await page.getByRole('button', { name: 'Horizontal axis' }).click();
      await page.getByRole('option', { name: along }).click();
      await until('the axis is another', async () => (await page.locator('.chart').getAttribute('aria-label'))?.includes(along === 'By bytes received' ? 'Received' : 'Federation time'));
    }
    await shot(page, 'compare-bytes');
    const table = (await saved('CSV')).toString().split('\r\n');
    expect(table[0]).toBe('federation,job,recipe,round,seconds,bytes_up,train_loss,mae,pearson_r,r2,rmse');
    expect(table.filter((row) => /^fitbit,[13],fitbit,\d,[\d.]+,\d+,[\d.]+,/.test(row))).toHaveLength(12);
  });

  it('of several federations are compared, too', async () => {
    const { page } = viewer;
    await page.goto(shown('/compare?of=run-a:1,run-b:1'));
    await page.locator('[data-compared="run-b:1"]').waitFor();
    expect(await lines(page)).toEqual(['run-a:1', 'run-b:1']);
    await page.getByRole('rowheader', { name: 'work.training.epochs' }).waitFor();
    await shot(page, 'compare-across');
    // Nothing takes time in these simulations.
    await page.getByRole('button', { name: 'Horizontal axis' }).click();
    expect(await page.getByRole('option').allInnerTexts()).toEqual(['By round', 'By bytes received']);
    await page.keyboard.press('Escape');
    await page.getByRole('combobox').fill('run-b, job 2');
    await page.getByRole('option', { name: 'run-b, job 2' }).click();
    await page.locator('[data-compared="run-b:2"]').waitFor();
    await accessible(page, 'a comparison of federations');
    await page.getByRole('button', { name: 'Take run-a, job 1: fitbit out' }).click();
    await page.waitForURL('**/federations/run-b/compare?jobs=1,2');
    await until('both jobs are there', async () => (await lines(page)).join() === 'run-b:1,run-b:2');
  });
});

describe('a model version', () => {
  it('is drawn with the versions that it comes from', async () => {
    await world.api('PUT', 'aliases/production', { version: 9 });
    await page.goto(`${world.url}/federations/fitbit/models`);
    await page.locator('.chart canvas').waitFor();
    await shot(page, 'models-chart');
    await accessible(page, 'the chart of versions');
    await page.locator('[data-version="14"]').getByRole('link', { name: '14', exact: true }).click();
    await page.waitForURL('**/models/14');
    await page.locator('[data-step]').first().waitFor();
    const steps = await page.locator('[data-step]').evaluateAll((items) => items.map((item) => item.getAttribute('data-step')));
    expect(steps).toEqual(['14', '13', 'between', '9', '8']);
    await page.getByRole('link', { name: 'Job 1 chose how many rounds were trained' }).waitFor();
  });

  it('is held against another', async () => {
    await page.getByRole('combobox').fill('production');
    await page.getByRole('option', { name: 'production: version 9' }).click();
    await page.waitForURL('**/models/14?with=9');
    await page.getByText('other bytes').waitFor();
    await page.goto(`${world.url}/federations/fitbit/models/7?with=21`);
    const row = page.locator('[data-figure="validation mae"]');
    await row.getByText(/^Version (7|21)$/).waitFor();
    const cells = (await row.locator('td.number').allInnerTexts()).map((text) => Number(text.replaceAll(',', '')));
    expect((cells[1] ?? 0) - (cells[0] ?? 0)).toBeCloseTo(cells[2] ?? 0, 0);
    await page.locator('[data-key="work.training.optimizer.learning_rate"]').waitFor();
    await shot(page, 'version');
    await accessible(page, 'a version');
  });

  it('complains of nothing in the console', () => {
    expect([...desk.complaints, ...viewer.complaints]).toEqual([]);
  });
});

describe('on a phone, in Korean and in the dark', () => {
  it('shows everything, within the window', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
    await signIn(phone.page, world);
    const look = async (address: string, name: string, there: string) => {
      await phone.page.goto(address);
      await phone.page.locator(there).first().waitFor();
      await held(name);
    };
    const held = async (name: string) => {
      await shot(phone.page, `phone-${name}`);
      expect(await fits(phone.page), name).toBe(true);
      await accessible(phone.page, name);
    };
    await look(`${world.url}/federations/fitbit/jobs`, 'jobs-tick', '.check');
    await phone.page.locator('.check').first().check();
    await phone.page.locator('.check').last().check();
    await phone.page.getByRole('button', { name: '비교', exact: true }).click();
    await phone.page.locator('[data-compared="fitbit:3"]').waitFor();
    await look(`${world.url}/federations/fitbit/models/14?with=9`, 'version', '[data-step]');
    await phone.page.goto(link);
    await phone.page.locator('[data-compared="run-b:1"]').waitFor();
    await held('compare');
    await look(shown('/federations/run-a/jobs/1'), 'job-curves', '[data-line-of=central]');
    await phone.page.getByRole('button', { name: '클라이언트별', exact: true }).click();
    await phone.page.getByRole('button', { name: '최고·중앙·최저' }).click();
    await phone.page.locator('[data-line-of=worst]').waitFor();
    await phone.page.locator('.plot').scrollIntoViewIfNeeded();
    await held('by-client');
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });
});

describe('the curves of clients, while a job runs', () => {
  it('go on as rounds come', async () => {
    world.dure('job', 'start', 'fitbit', 'rounds=100000', 'refit=false', 'training.epochs=40', 'cohort.quorum=2');
    await page.goto(`${world.url}/federations/fitbit/jobs/4`);
    await page.getByRole('button', { name: 'By client' }).click();
    await page.locator('[data-line-of=spread]').waitFor();
    const last = async () => Number((await rows(page)).at(-1)?.split(',')[0]);
    const before = await last();
    await until('clients have more rounds', async () => (await last()) >= before + 5);
    await world.api('POST', 'jobs/4/abort');
  });
});
