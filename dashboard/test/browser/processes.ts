// Real processes: a server, sites that join it, and the command line. They end with the test.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const BINARY = process.env['DURE_BINARY'] ?? join(import.meta.dirname, '../../../target/release/dure');

/** How long anything may take, in milliseconds. */
const PATIENCE_MS = 60_000;

/** Waits until `condition` gives something; says what was waited for if it never does. */
export async function until<T>(what: string, condition: () => Promise<T | undefined | false>): Promise<T> {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A folder, a server in it, and whoever joins it. */
export class World {
  readonly dir = mkdtempSync(join(tmpdir(), 'dure-dashboard-'));
  private readonly children: ChildProcess[] = [];
  private server: ChildProcess | undefined;
  url = '';
  token = '';

  static async start(): Promise<World> {
    const world = new World();
    world.url = `http://127.0.0.1:${await freePort()}`;
    await world.serve();
    return world;
  }

  /** Starts the server, where it was. */
  async serve(): Promise<void> {
    const listen = this.url.replace('http://', '');
    // A lease that is over in a test's patience.
    const args = ['serve', '--json', '--listen', listen, '--data-dir', this.path('server'), '--lease', '10s'];
    this.server = this.spawn('serve', args);
    const said = await firstLine(this.server);
    const { operator_token: token } = JSON.parse(said) as { operator_token: string | null };
    this.token = token ?? this.token;
  }

  /** Shows what simulations have written; returns the page's address, which signs in by itself. */
  async view(...paths: string[]): Promise<string> {
    const said = await firstLine(this.spawn('view', ['view', ...paths]));
    return said.replace('shown on ', '');
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await ended(this.server, 'SIGKILL');
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Runs the command line of the operator to its end; it must succeed. */
  dure(...args: string[]): string {
    const run = spawnSync(BINARY, args, { encoding: 'utf8', env: this.environment() });
    if (run.status !== 0) throw new Error(`dure ${args.join(' ')}: ${run.stdout}${run.stderr}`);
    return run.stdout;
  }

  /** Made-up people's rows. */
  people(count: number): string {
    const folder = this.path('people');
    if (!existsSync(folder)) this.dure('data', 'generate', 'fitbit', '--people', String(count), '--out', folder);
    return folder;
  }

  /** An agent of a site, as the line that the dashboard shows starts it. */
  join(name: string, invitation: string, data: string, ...args: string[]): ChildProcess {
    const all = ['join', '--data', data, '--state-dir', this.path(`state-${name}`), ...args];
    return this.spawn(name, all, { DURE_INVITATION: invitation });
  }

  /** Asks the API as the operator, or as whoever has the bearer. */
  async api(method: string, path: string, body?: unknown, bearer = this.token): Promise<unknown> {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    const response = await fetch(`${this.url}/v1/federations/fitbit/${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async close(): Promise<void> {
    for (const child of this.children) await ended(child, 'SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** What a process has written to standard error. */
  log(name: string): string {
    return readFileSync(this.path(`${name}.log`), 'utf8');
  }

  private spawn(name: string, args: string[], env: Record<string, string> = {}): ChildProcess {
    const log = openSync(this.path(`${name}.log`), 'a');
    const child = spawn(BINARY, args, { env: { ...this.environment(), ...env }, stdio: ['ignore', 'pipe', log] });
    this.children.push(child);
    return child;
  }

  private environment(): Record<string, string> {
    return { PATH: process.env['PATH'] ?? '', HOME: this.dir, DURE_SERVER: this.url, DURE_TOKEN: this.token, DURE_FEDERATION: 'fitbit' };
  }
}

/** Ends a process, and waits for its end. */
export async function ended(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const over = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await over;
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (!child.stdout) throw new Error('no output');
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) return line;
  throw new Error('the server does not listen');
}
