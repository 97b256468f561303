import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, type Reader } from './browser';
import { until, World } from './processes';

let world: World;
let browser: Browser;
let desk: Reader;
let link = '';

beforeAll(async () => {
  world = new World();
  world.dure('simulate', 'fitbit', 'rounds=12', 'refit=false', '--baselines', '--out', world.path('runs/fedavg'));
  world.dure('simulate', 'fitbit', 'rounds=12', 'refit=false', 'strategy.name=fedadam', '--out', world.path('runs/fedadam'));
  link = await world.view(world.path('runs'));
  browser = await launch();
  desk = await reader(browser);
  await desk.page.goto(link);
  await desk.page.waitForURL((url) => url.pathname === '/compare');
});

afterAll(async () => {
  await browser.close();
  await world.close();
});

const sequence = async (page: Reader['page']) => Number(await page.locator('.time-bar').getAttribute('data-at'));

it('shows several simulations side by side, and keeps no token', async () => {
  const { page } = desk;
  expect(page.url()).not.toContain('token');
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]) + document.cookie);
  expect(kept).not.toContain(new URL(link).hash.replace('#token=', ''));
  for (const name of ['fedavg', 'fedadam']) await page.getByText(name).first().waitFor();
  await shot(page, 'view-compare');
});

it('shows each in the same screens, and lets nothing be changed', async () => {
  const { page } = desk;
  await page.goto(`${new URL(link).origin}/federations/fedavg/jobs/1`);
  await page.locator('.chart canvas').waitFor();
  expect(await page.getByRole('button', { name: 'Abort' }).count()).toBe(0);
  await page.getByRole('navigation').getByRole('link', { name: 'Models' }).click();
  await page.locator('[data-version="13"]').waitFor();
  expect(await page.getByRole('button', { name: /^Promote/ }).count()).toBe(0);
  await page.getByRole('navigation').getByRole('link', { name: 'Clients' }).click();
  await page.locator('[data-client=person-01]').waitFor();
  expect(await page.getByRole('button', { name: 'Invite' }).count()).toBe(0);
});

it('shows any past moment in every screen', async () => {
  const { page } = desk;
  await page.getByRole('navigation').getByRole('button', { name: 'Time travel' }).click();
  const length = await sequence(page);
  const slider = page.getByRole('slider', { name: 'Event of the journal' });
  await slider.focus();
  await page.keyboard.press('Home');
  await until('the first moment is shown', async () => (await sequence(page)) === 1);
  await page.getByText('No client has joined yet').waitFor();
  await accessible(page, 'time travel');
  // In the middle the curve has half of its points, and the job runs.
  const track = await page.locator('.slider-track').boundingBox();
  if (!track) throw new Error('no track');
  await page.mouse.click(track.x + track.width / 2, track.y + track.height / 2);
  await until('a moment in the middle is shown', async () => Math.abs((await sequence(page)) - length / 2) < length / 20);
  await page.locator('[data-client=person-33]').waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Jobs' }).click();
  await page.getByRole('link', { name: 'Job 1: fitbit' }).click();
  await page.getByText('Running').first().waitFor();
  const points = Number(await page.locator('.chart').first().getAttribute('data-points'));
  expect(points).toBeGreaterThan(3);
  expect(points).toBeLessThan(9);
  await shot(page, 'time-travel');
  await page.getByRole('button', { name: 'One event on' }).click();
  await page.getByRole('button', { name: 'Play' }).click();
  await until('it is played', async () => (await sequence(page)) > length / 2 + 50);
  await page.getByRole('button', { name: 'Back to now' }).click();
  await page.locator('.time-bar').waitFor({ state: 'detached' });
  await until('the whole curve is there', async () => Number(await page.locator('.chart').first().getAttribute('data-points')) === 12);
});

it('is all that on a phone, in Korean', async () => {
  const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
  await phone.page.goto(link);
  await phone.page.waitForURL((url) => url.pathname === '/compare');
  await phone.page.goto(`${new URL(link).origin}/federations/fedadam`);
  await phone.page.getByRole('navigation').getByRole('button', { name: '시간 여행' }).click();
  await phone.page.getByRole('button', { name: '이벤트 하나 뒤로' }).click();
  await phone.page.locator('.time-bar').waitFor();
  await shot(phone.page, 'phone-time-travel');
  expect(await fits(phone.page)).toBe(true);
  await accessible(phone.page, 'time travel on a phone');
  expect(phone.complaints).toEqual([]);
  expect(desk.complaints).toEqual([]);
});
