// Requests to the server that the page came from. The browser sends the session's cookie by itself; no script can read it.
import type { Problem } from './types';

/** An answer that refuses, in the server's words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    /** The path below `/problems/`. */
    readonly kind: string,
    detail: string,
    /** The setting of a recipe that is refused, if it is one. */
    readonly setting?: string,
  ) {
    super(detail);
  }
}

/** No answer at all: the server or the network is gone. */
export class Unreachable extends Error {}

/** Sends, and returns the answer if it does not refuse. */
export async function send(method: string, path: string, body?: unknown, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (body !== undefined) headers.set('content-type', 'application/json');
  let response: Response;
  try {
    const sent = body === undefined ? null : JSON.stringify(body);
    response = await fetch(path, { ...init, method, headers, body: sent, cache: 'no-store' });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw new Unreachable('', { cause: error });
  }
  if (response.ok) return response;
  throw await refusal(response);
}

async function refusal(response: Response): Promise<Refused> {
  const text = await response.text().catch(() => '');
  try {
    const problem = JSON.parse(text) as Problem;
    return new Refused(response.status, problem.type.replace('/problems/', ''), problem.detail, problem.setting ?? undefined);
  } catch {
    // A proxy in between may answer in its own words.
    return new Refused(response.status, 'unknown', text.slice(0, 200) || response.statusText);
  }
}

/** The JSON at a path. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send('GET', path, undefined, signal === undefined ? {} : { signal });
  return (await response.json()) as T;
}

/** Whether the server says that every federation can go on. */
export async function ready(path: string, signal?: AbortSignal): Promise<boolean> {
  try {
    await send('GET', path, undefined, signal === undefined ? {} : { signal });
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 503) return false;
    throw error;
  }
}

/** Sends JSON and returns what is answered. */
export async function post<T>(path: string, body: unknown = {}, init: RequestInit = {}): Promise<T> {
  const response = await send('POST', path, body, init);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** The API's path of a federation, and of something in it. */
export function under(federation: string, ...parts: (string | number)[]): string {
  return ['/v1/federations', federation, ...parts].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join('/');
}
