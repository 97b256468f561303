// A real browser, and what a reader of the page would notice.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { World } from './processes';

const SHOTS = process.env['DURE_SHOTS'] ?? join(import.meta.dirname, '../../.shots');
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export async function launch(): Promise<Browser> {
  const executablePath = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
  // Tests run as root in containers, where Chromium's own sandbox cannot be made.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
}

export interface Reader {
  page: Page;
  context: BrowserContext;
  /** What the browser's console complained of, and requests that the policy stopped. */
  complaints: string[];
}

/** A reader with this language and window. */
export async function reader(browser: Browser, options: { locale?: string; width?: number; height?: number; dark?: boolean } = {}): Promise<Reader> {
  const { locale = 'en-GB', width = 1280, height = 800, dark = false } = options;
  const context = await browser.newContext({ locale, viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', acceptDownloads: true });
  if (process.env['DURE_FRESH'] !== undefined) await fresh(context);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    // A server that is killed, a session that is not begun and a plan that is none are what these tests are about.
    const expected = /net::ERR_|status of (40[014]|422)/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !expected) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, context, complaints };
}

/** Takes the page from .out, where Vite has built it, and all else from the server: so nothing has to be compiled while a screen is made. */
async function fresh(context: BrowserContext): Promise<void> {
  const out = join(import.meta.dirname, '../../.out');
  const types = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' } as Record<string, string>;
  await context.route('**/assets/*', async (route) => {
    const { pathname } = new URL(route.request().url());
    await route.fulfill({ path: join(out, pathname), contentType: types[pathname.split('.').at(-1) ?? ''] ?? 'application/octet-stream' });
  });
  await context.route(/^[^?]*\/(federations[^?]*|compare|sign-in)?(\?.*)?$/, async (route) => {
    if (route.request().resourceType() !== 'document') return route.fallback();
    const response = await route.fetch();
    const { 'content-security-policy': policy = '' } = response.headers();
    await route.fulfill({ path: join(out, 'index.html'), contentType: 'text/html', headers: { 'content-security-policy': policy } });
  });
}

export async function shot(page: Page, name: string): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

interface Finding {
  id: string;
  impact: string | null;
  nodes: { html: string; failureSummary: string }[];
}

/** Holds the page, as it stands, to what axe knows of accessibility: nothing serious may be found. */
export async function accessible(page: Page, where: string): Promise<void> {
  // Through the debugger, which the page's policy does not bind.
  const findings = await page.evaluate<Finding[]>(`${AXE}; axe.run(document).then((results) => results.violations)`);
  const serious = findings.filter((finding) => finding.impact === 'serious' || finding.impact === 'critical');
  const told = serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`);
  expect(told, where).toEqual([]);
}

/** Whether the page is no wider than its window. */
export async function fits(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}

/** Signs in with the operator's token, and goes to a screen. */
export async function signIn(page: Page, { url, token }: World, screen = '/federations'): Promise<void> {
  await page.goto(`${url}/sign-in?back=${screen}`);
  await page.getByRole('textbox').fill(token);
  await page.getByRole('textbox').press('Enter');
  await page.waitForURL(({ pathname }) => pathname === screen);
}
