// How fast the page is, beside a server with 10,000 clients: `npm run bench`. Prints figures; asserts none.
import { createHash } from 'node:crypto';
import type { Browser, Page } from 'playwright-core';
import { it } from 'vitest';
import { launch, reader } from '../test/browser/browser';
import { until, World } from '../test/browser/processes';

const CLIENTS = Number(process.env['CLIENTS'] ?? 10_000);
const LOADS = 7;
const EVENTS = 60;

it('measures the page', { timeout: 1_200_000 }, async () => {
  const world = await World.start();
  const browser = await launch();
  try {
    world.dure('federation', 'create', 'fitbit');
    await join(world, 0, CLIENTS);
    const rows = [...(await loads(world, browser)), ...(await scrolling(world, browser)), ...(await latency(world, browser))];
    console.log([`${CLIENTS} clients`, ...rows].join('\n'));
  } finally {
    await browser.close();
    await world.close();
  }
});

/** Lets clients join, who do nothing else. */
async function join(world: World, from: number, to: number, atOnce = 32): Promise<void> {
  const { token } = (await world.api('POST', 'invitations', {})) as { token: string };
  let next = from;
  const one = async () => {
    while (next < to) {
      const name = `client-${String((next += 1)).padStart(6, '0')}`;
      await world.api('PUT', `clients/${name}`, { secret: createHash('sha256').update(name).digest('hex'), facts: { rows: next % 997 } }, token);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** A signed-in page with a cold cache: nothing is kept from one to the next. */
async function signedIn(world: World, browser: Browser): Promise<Page> {
  const { page, context } = await reader(browser);
  await context.request.post(`${world.url}/v1/session`, { data: { token: world.token } });
  return page;
}

/** From the address to the first paint, and until the overview shows the whole journal and the main thread is free. */
async function loads(world: World, browser: Browser): Promise<string[]> {
  const [paint, ready]: [number[], number[]] = [[], []];
  for (let i = 0; i < LOADS; i += 1) {
    const page = await signedIn(world, browser);
    await watch(page);
    await page.goto(`${world.url}/federations/fitbit`, { waitUntil: 'commit' });
    await page.locator('.tile').first().waitFor();
    const figures = await page.evaluate(() => {
      const painted = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN;
      // The first moment at which a press would be answered: what is pressed is there, and no long task is under way.
      const busy = window.tasks.filter((task) => task.start < window.shown).map((task) => task.start + task.ms);
      return { painted, ready: Math.max(window.shown, ...busy) };
    });
    paint.push(figures.painted);
    ready.push(figures.ready);
    await page.context().close();
  }
  return [row('first paint, cold cache', paint, 'ms'), row('interactive, cold cache', ready, 'ms')];
}

/** Through pages of clients, and each from its top to its end: alone, and while more join. */
async function scrolling(world: World, browser: Browser): Promise<string[]> {
  const page = await signedIn(world, browser);
  await watch(page);
  await page.goto(`${world.url}/federations/fitbit/clients`);
  await page.locator('[data-client]').nth(49).waitFor();
  await page.locator('[data-line=live]').waitFor();
  await page.waitForLoadState('networkidle', { timeout: 3000 }).catch(() => undefined);
  const alone = await scroll(page);
  const joining = join(world, CLIENTS, CLIENTS + 1000, 4);
  const beside = await scroll(page);
  await joining;
  await page.context().close();
  const told = (name: string, { long }: Scrolled) => `${name.padEnd(36)} ${long.length}${long.length > 0 ? `, the longest ${Math.max(...long).toFixed(0)} ms` : ''}`;
  return [
    told('tasks over 50 ms while scrolling', alone),
    told('… and 1,000 more join', beside),
    `${'rows in the page at most'.padEnd(36)} ${Math.max(alone.most, beside.most)}`,
  ];
}

interface Scrolled {
  /** How long each long task was, in milliseconds. */
  long: number[];
  /** How many rows there were at most. */
  most: number;
}

async function scroll(page: Page): Promise<Scrolled> {
  const begun = await page.evaluate(() => performance.now());
  let most = 0;
  for (let i = 0; i < 20; i += 1) {
    for (let y = 0; y < 10; y += 1) await page.mouse.wheel(0, 500);
    most = Math.max(most, await page.locator('tr').count());
    const before = await page.locator('[data-client]').first().getAttribute('data-client');
    // By its place: to look for it by its role, everything in the page is asked for its name, which would be measured, too.
    await page.locator('.pages button').last().click();
    await until('the next page is there', async () => (await page.locator('[data-client]').first().getAttribute('data-client')) !== before);
    await page.mouse.wheel(0, -10_000);
  }
  const tasks = await page.evaluate(() => window.tasks);
  return { long: tasks.filter((task) => task.start > begun).map((task) => task.ms), most };
}

/** From the answer that an event is durable to the screen that tells of it. */
async function latency(world: World, browser: Browser): Promise<string[]> {
  const page = await signedIn(world, browser);
  await page.goto(`${world.url}/federations/fitbit`);
  await page.locator('[data-line=live]').waitFor();
  const federation = async () => (await (await fetch(`${world.url}/v1/federations/fitbit`, { headers: { authorization: `Bearer ${world.token}` } })).json()) as { journal: { sequence: string } };
  const length = Number((await federation()).journal.sequence);
  await until('the page has the journal', async () => (await shown(page)) >= length);
  const took: number[] = [];
  for (let i = 1; i <= EVENTS; i += 1) {
    const seen = page.evaluate(
      (wanted) =>
        new Promise<number>((resolve) => {
          const tell = () => {
            const tile = [...document.querySelectorAll('.tile')].find((tile) => tile.textContent.includes('Journal events'));
            if (Number(tile?.querySelector('strong')?.textContent.replaceAll(',', '')) < wanted) return;
            watcher.disconnect();
            // The next frame has it.
            requestAnimationFrame(() => resolve(Date.now()));
          };
          const watcher = new MutationObserver(tell);
          watcher.observe(document.body, { subtree: true, childList: true, characterData: true });
        }),
      length + i,
    );
    await join(world, CLIENTS + 1000 + i, CLIENTS + 1001 + i);
    const durable = Date.now();
    took.push(Math.max(0, (await seen) - durable));
  }
  await page.context().close();
  return [row('event on the screen', took, 'ms')];
}

async function shown(page: Page): Promise<number> {
  const tile = page.locator('.tile', { has: page.getByText('Journal events', { exact: true }) }).locator('strong');
  return Number((await tile.innerText()).replaceAll(',', ''));
}

declare global {
  interface Window {
    tasks: { start: number; ms: number }[];
    /** When the overview's figures were there. */
    shown: number;
  }
}

/** Keeps every long task of the main thread, in the pages that it goes to, and when the overview's figures are there. */
async function watch(page: Page): Promise<void> {
  await page.addInitScript(() => {
    window.tasks = [];
    window.shown = Infinity;
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.tasks.push({ start: entry.startTime, ms: entry.duration }))).observe({ type: 'longtask' });
    new MutationObserver((_, watcher) => {
      if (document.querySelector('.tile strong') === null) return;
      window.shown = performance.now();
      watcher.disconnect();
    }).observe(document, { subtree: true, childList: true });
  });
}

function row(name: string, figures: number[], unit: string): string {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? NaN).toFixed(0);
  return `${name.padEnd(36)} median ${at(0.5)} ${unit}, 95 % ${at(0.95)} ${unit}, of ${sorted.length}`;
}
