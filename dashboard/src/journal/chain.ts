// The hash chain, held in the browser: hash = SHA-256(previous hash ‖ the event's bytes).
import type { Entry } from './entry';

/** What has become of checking. */
export type Check =
  /** Every entry up to this one follows from the one before. */
  | { state: 'holds'; upTo: number }
  /** This entry does not. */
  | { state: 'broken'; at: number }
  /** The browser has no SHA-256 for pages that came by plain HTTP from another machine: nothing was checked. */
  | { state: 'unchecked' };

/** SHA-256 of bytes. */
export type Digest = (bytes: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>;

const GENESIS = '0'.repeat(64);

/** The browser's SHA-256, if it offers it here. */
export function digestOf(subtle: SubtleCrypto | undefined): Digest | undefined {
  return subtle === undefined ? undefined : (bytes) => subtle.digest('SHA-256', bytes);
}

/** Holds a chain's entries, one after another, from the first. */
export class Chain {
  private previous = GENESIS;
  check: Check;

  constructor(private readonly digest: Digest | undefined) {
    this.check = digest === undefined ? { state: 'unchecked' } : { state: 'holds', upTo: 0 };
  }

  /** Holds the next entries to the chain. After a broken one nothing more is checked. */
  async follow(entries: readonly Entry[]): Promise<Check> {
    for (const entry of entries) {
      if (this.digest === undefined || this.check.state !== 'holds') break;
      const expected = entry.sequence === this.check.upTo + 1 && (await link(this.digest, this.previous, entry.event));
      this.previous = entry.hash;
      this.check = expected === entry.hash ? { state: 'holds', upTo: entry.sequence } : { state: 'broken', at: this.check.upTo + 1 };
    }
    return this.check;
  }
}

/** The hash of an entry that comes after one with the hash `previous`. */
export async function link(digest: Digest, previous: string, event: string): Promise<string> {
  const text = new TextEncoder().encode(event);
  const bytes = new Uint8Array(32 + text.length);
  for (let i = 0; i < 32; i += 1) bytes[i] = Number.parseInt(previous.slice(2 * i, 2 * i + 2), 16);
  bytes.set(text, 32);
  return [...new Uint8Array(await digest(bytes))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
