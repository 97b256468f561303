// A line of the journal: one link of a hash chain, and the record in it.
import type { JournalRecord } from './events';

export interface Entry {
  /** Counted from 1. */
  sequence: number;
  /** SHA-256 of the previous entry's hash and the bytes of `event`, in hexadecimal digits. */
  hash: string;
  /** The record's bytes, verbatim: the hash covers them, so they are never written anew. */
  event: string;
  record: JournalRecord;
}

const LINE = /^\{"sequence":"(\d{1,19})","hash":"([0-9a-f]{64})","event":(\{.*\})\}$/s;

/** Reads a line. Only the one spelling is taken, as by everybody who reads journals. */
export function parseLine(line: string): Entry {
  const [, sequence, hash, event] = LINE.exec(line) ?? [];
  if (sequence === undefined || hash === undefined || event === undefined) {
    throw new Error(`not a line of a journal: ${line.slice(0, 80)}`);
  }
  return { sequence: Number(sequence), hash, event, record: JSON.parse(event) as JournalRecord };
}
