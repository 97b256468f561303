// How many clients there are.
import type { ClientState, FederationView } from './api/types';

/** States of clients, in the order in which they are listed. */
export const STATES = ['ready', 'training', 'updating', 'finished', 'joined', 'lost', 'left', 'evicted'] as const satisfies ClientState[];

const PRESENT: readonly ClientState[] = ['ready', 'training', 'updating', 'finished'];

/** Who is there and takes tasks. */
export function present({ clients }: FederationView): number {
  return PRESENT.reduce((sum, state) => sum + (clients[state] ?? 0), 0);
}

/** Who ever joined. */
export function total({ clients }: FederationView): number {
  return STATES.reduce((sum, state) => sum + (clients[state] ?? 0), 0);
}
