import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessible, fits, launch, reader, shot, type Reader } from './browser';
import { BINARY, ended, until } from './processes';

const folder = mkdtempSync(join(tmpdir(), 'dure-demo-test-'));
let browser: Browser;
let desk: Reader;
let page: Page;
let demo: ChildProcess;
let said = '';
let link = '';
let began = 0;

beforeAll(async () => {
  browser = await launch();
  desk = await reader(browser);
  page = desk.page;
  began = performance.now();
  demo = spawn(BINARY, ['demo', '--stay', '--no-browser'], { env: { PATH: process.env['PATH'] ?? '', TMPDIR: folder }, stdio: ['ignore', 'pipe', 'inherit'] });
  demo.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  link = await until('the dashboard has an address', () => Promise.resolve(/the dashboard: (\S+)/.exec(said)?.[1]));
});

afterAll(async () => {
  await ended(demo, 'SIGKILL');
  await browser.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The secret that the link has. */
const token = () => link.split('#token=')[1] ?? '';
const tile = async (label: string) => Number((await page.locator('.tile', { has: page.getByText(label, { exact: true }) }).locator('strong').innerText()).replaceAll(',', ''));
const agent = (name: string) => page.locator(`[data-agent=${name}]`);

describe('the demo', () => {
  it('shows clients that have joined and a curve that moves, soon after its start', async () => {
    await page.goto(link);
    await page.waitForURL('**/federations/fitbit');
    await until('the curve has points', async () => Number(await page.locator('.chart').getAttribute('data-points')) >= 3);
    const took = performance.now() - began;
    console.log(`from the start of the process to a curve with points: ${took.toFixed(0)} ms`);
    expect(await tile('Clients present')).toBe(33);
    await shot(page, 'demo-overview');
    await accessible(page, 'the overview of a demo');
  });

  it('keeps the token nowhere', async () => {
    const kept = () => page.evaluate(() => JSON.stringify([localStorage, sessionStorage]) + document.cookie + location.href);
    expect(token()).toMatch(/^[0-9a-f]{64}$/);
    expect(await kept()).not.toContain(token());
    await page.goBack();
    expect(page.url(), 'the link is not in the history').toBe('about:blank');
    await page.goForward();
    await page.waitForURL('**/federations/fitbit');
  });

  it('kills an agent, goes on without its clients and lets it return', async () => {
    await page.goto(`${new URL(link).origin}/federations/fitbit/clients`);
    await page.getByRole('button', { name: 'Kill agent-2' }).click();
    await page.locator('[data-agent=agent-2][data-running=false]').waitFor();
    expect(await agent('agent-2').getByRole('button').isDisabled()).toBe(true);
    const lost = await until('its clients are lost', async () => Number(await agent('agent-2').getAttribute('data-lost')) || undefined);
    expect(lost).toBe(8);
    expect(await agent('agent-2').getByRole('alert').count()).toBe(0);
    await shot(page, 'demo-killed');
    await accessible(page, 'the clients of a demo');
    await until('a round is complete without them', async () => completed(await journal()).includes(25));
    await page.locator('[data-agent=agent-2][data-running=true][data-lost="0"]').waitFor();
    expect(await agent('agent-1').getAttribute('data-lost')).toBe('0');
    await page.locator('[data-client=person-10]:not([data-state=lost])').waitFor();
  });

  it('fits on a phone, in Korean and in the dark', async () => {
    const phone = await reader(browser, { locale: 'ko-KR', width: 360, height: 740, dark: true });
    await phone.page.goto(link);
    await phone.page.locator('[data-agent=agent-4]').scrollIntoViewIfNeeded();
    expect(await fits(phone.page)).toBe(true);
    await shot(phone.page, 'demo-phone');
    await accessible(phone.page, 'a demo on a phone');
    expect(phone.complaints).toEqual([]);
    await phone.context.close();
  });

  it('asks those who have another token for the right one', async () => {
    const other = await reader(browser);
    await other.page.goto(link.replace(token(), '0'.repeat(64)));
    await other.page.getByText('This is not the operator').waitFor();
    expect(other.page.url()).not.toContain('token');
    await other.context.close();
  });

  it('comes to the same bits all the same, stays, and leaves nothing behind', async () => {
    // All of its rounds would take long where other tests run beside; refused if they are over.
    await stop();
    await until('the job is over', () => Promise.resolve(said.includes('stay until Ctrl-C')));
    expect(said).toContain('           the same bits\n');
    expect(said).toContain('kill -9 of agent-2');
    await page.getByRole('button', { name: 'Kill agent-1' }).click();
    await page.locator('[data-agent=agent-1][data-running=false]').waitFor();
    expect(desk.complaints).toEqual([]);
    await ended(demo, 'SIGINT');
    expect(demo.exitCode).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
  });
});

async function journal(): Promise<string> {
  return (await fetch(`${new URL(link).origin}/v1/federations/fitbit/journal`, { headers: { authorization: `Bearer ${token()}` } })).text();
}

/** How many have answered in each round that is complete. */
function completed(journal: string): number[] {
  const events = journal.trim().split('\n').map((line) => (JSON.parse(line) as { event: { type: string; participants?: string[] } }).event);
  return events.filter(({ type }) => type === 'round_completed').map(({ participants = [] }) => participants.length);
}

async function stop(): Promise<void> {
  await fetch(`${new URL(link).origin}/v1/federations/fitbit/jobs/1/stop`, { method: 'POST', headers: { authorization: `Bearer ${token()}` } });
}
