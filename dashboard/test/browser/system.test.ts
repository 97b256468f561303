import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SystemView } from '../../src/api/types';
import { accessible, fits, launch, reader, shot, signIn, type Reader } from './browser';
import { until, World } from './processes';

let world: World;
let browser: Browser;
let desk: Reader;
let page: Page;

beforeAll(async () => {
  world = await World.start();
  world.dure('federation', 'create', 'fitbit');
  world.join('agent', world.dure('invite').trim(), world.people(4));
  browser = await launch();
  desk = await reader(browser);
  page = desk.page;
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

const chart = (target: Page, label: string) => target.locator('.meter', { has: target.getByText(label, { exact: true }) });
const now = (target: Page, label: string) => chart(target, label).locator('strong').innerText();

async function system(): Promise<SystemView> {
  const response = await fetch(`${world.url}/v1/system`, { headers: { authorization: `Bearer ${world.token}` } });
  return (await response.json()) as SystemView;
}

describe('the system screen', () => {
  it('shows what the server uses and does, as it changes', async () => {
    await signIn(page, world, '/federations/fitbit/system');
    await until('there is a rate', async () => (await now(page, 'Requests')) !== '–');
    world.dure('job', 'start', 'fitbit', 'rounds=100000', 'refit=false', 'training.epochs=40');
    await until('events come', async () => Number.parseFloat(await now(page, 'Events')) > 5);
    await until('models go out', async () => /[1-9].*\/s/.test(await now(page, 'Models out')));
    await until('appends are timed', async () => /^[\d.]+ ms$/.test(await now(page, 'Append time')));
    expect(await now(page, 'Memory')).toMatch(/^\d+(\.\d)? MB$/);
    expect(await now(page, 'CPU')).toMatch(/^\d+(\.\d)?%$/);
    const points = async () => Number(await chart(page, 'Memory').locator('svg').getAttribute('data-points'));
    const before = await points();
    await until('it goes on', async () => (await points()) >= before + 3);
    await page.locator('[data-load=fitbit]').waitFor();
    await shot(page, 'system');
    await accessible(page, 'the system');
  });

  it('says what is so', async () => {
    const view = await system();
    expect(view.demo ?? null).toBeNull();
    expect(view.federations).toMatchObject([{ federation: 'fitbit', followers: 1, max_queue: 1024 }]);
    expect(view.connections).toBeGreaterThanOrEqual(2);
    expect(view.events).toBeGreaterThan(50);
    expect(view.append_s / view.appends).toBeGreaterThan(0);
    expect(view.memory_peak_bytes).toBeGreaterThanOrEqual(view.memory_bytes ?? Infinity);
    expect(view.cpu_s).toBeGreaterThan(0);
    expect(view.disk_free_bytes).toBeLessThan(view.disk_bytes ?? 0);
  });

  it('keeps what it has seen while another screen is looked at', async () => {
    const points = async () => Number(await chart(page, 'Memory').locator('svg').getAttribute('data-points'));
    const before = await points();
    await page.getByRole('navigation').getByRole('link', { name: 'Overview' }).click();
    await page.getByRole('heading', { level: 1, name: 'fitbit' }).waitFor();
    expect(await page.locator('.demo').count(), 'this is no demo').toBe(0);
    await page.getByRole('navigation').getByRole('link', { name: 'System' }).click();
    await until('all is there again', async () => (await points()) >= before);
  });

  it('begins again with a server that was started again', async () => {
    await world.kill();
    await page.locator('[data-line=cut]').waitFor();
    await world.serve();
    await page.locator('[data-line=live]').waitFor();
    await until('there are rates again', async () => (await now(page, 'Requests')) !== '–' && Number.parseFloat(await now(page, 'Requests')) < 5000);
    expect((await system()).uptime_s).toBeLessThan(60);
    expect(desk.complaints).toEqual([]);
  });

  it('fits on a phone, in Korean and in the dark', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
    await signIn(phone.page, world, '/federations/fitbit/system');
    await until('there is a rate', async () => (await now(phone.page, '요청')) !== '–');
    await until('the chart has a line', async () => Number(await chart(phone.page, '메모리').locator('svg').getAttribute('data-points')) >= 4);
    expect(await fits(phone.page)).toBe(true);
    await shot(phone.page, 'system-phone');
    await phone.page.locator('[data-load=fitbit]').scrollIntoViewIfNeeded();
    await shot(phone.page, 'system-phone-end');
    await accessible(phone.page, 'the system on a phone');
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });

  it('lets nobody kill where there is no demo', async () => {
    const asked = { method: 'POST', headers: { authorization: `Bearer ${world.token}` } };
    expect((await fetch(`${world.url}/v1/demo/agent-1/kill`, asked)).status).toBe(404);
    expect((await fetch(`${world.url}/v1/demo/agent-1/kill`, { method: 'POST' })).status).toBe(401);
    expect((await fetch(`${world.url}/v1/system`)).status).toBe(401);
  });
});
