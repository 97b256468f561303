// Why a worker could not do its work: errors of one's own classes do not come through to the page.
import { Refused, Unreachable } from '../api/client';

export type Packed = { status: number; kind: string; detail: string } | undefined;

export function pack(error: unknown): Packed {
  return error instanceof Refused ? { status: error.status, kind: error.kind, detail: error.message } : undefined;
}

export function unpack(packed: Packed): Error {
  return packed === undefined ? new Unreachable() : new Refused(packed.status, packed.kind, packed.detail);
}
