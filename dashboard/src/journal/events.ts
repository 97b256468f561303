// The events that a federation's journal has, as `crates/core/src/event.rs` writes them.
import type { Metrics, Plan } from '../api/types';
import type { Sums } from './statistics';

/** What every record has. */
interface Stamped {
  v: number;
  /** Federation time, in milliseconds. It stands still while no server runs. */
  at: string;
}

export type Answer =
  | { update: { sha256: string; bytes: string; weight: number; scalars: Record<string, number> } }
  | { measured: unknown }
  | { evaluated: { sums: Record<string, Sums> } };

export type Outcome = 'completed' | 'aborted' | 'gave_up' | 'failed';

export type Event =
  | { type: 'federation_created'; name: string; recipe?: string }
  | { type: 'client_joined'; client: string; epoch: number; ready?: boolean }
  | { type: 'readiness_changed'; client: string; ready: boolean; reason: string }
  | { type: 'client_left'; client: string; reason: string }
  | { type: 'client_evicted'; client: string; reason: string }
  | { type: 'client_lost'; client: string; epoch: number }
  | { type: 'client_returned'; client: string; epoch: number }
  | { type: 'job_created'; job: number; seed: string; refit_of: number | null; plan: Plan }
  | { type: 'facts_changed'; client: string; facts: Record<string, number> }
  | { type: 'job_started'; job: number; rounds?: number }
  | { type: 'job_paused'; job: number }
  | { type: 'job_resumed'; job: number; rounds?: number }
  | { type: 'job_stepped'; job: number }
  | { type: 'training_ended'; job: number; reason: string }
  | { type: 'job_ended'; job: number; outcome: Outcome; reason?: string }
  | { type: 'round_opened'; round: string; version: number | null; cohort: string[]; quorum: number; goal?: number; among?: number; deadline: string }
  | { type: 'answer_accepted'; round: string; client: string; answer: Answer }
  | { type: 'task_reassigned'; round: string; client: string }
  | { type: 'task_declined'; round: string; client: string; reason: string }
  | { type: 'round_completed'; round: string; participants: string[]; staleness?: Record<string, number> }
  | { type: 'round_abandoned'; round: string; reported: number; quorum: number }
  | { type: 'measured'; job: number; statistics: unknown }
  | { type: 'model_published'; version: number; job: number; round: number; sha256: string; state?: string; parent: number | null }
  | { type: 'evaluated'; round: string; version: number; metrics: Record<string, Metrics> }
  | { type: 'alias_set'; alias: string; version: number };

export type Kind = 'measure' | 'train' | 'evaluate' | 'test';

export type JournalRecord = Stamped & Event;

/** The types of events that this page knows; a newer server may write others, which are shown as they are. */
export const EVENT_TYPES = [
  'federation_created', 'client_joined', 'readiness_changed', 'client_left', 'client_evicted', 'client_lost', 'client_returned',
  'job_created', 'facts_changed', 'job_started', 'job_paused', 'job_resumed', 'job_stepped', 'training_ended', 'job_ended',
  'round_opened', 'answer_accepted', 'task_reassigned', 'task_declined', 'round_completed', 'round_abandoned', 'measured',
  'model_published', 'evaluated', 'alias_set',
] as const satisfies Event['type'][];

/** A round's name, taken apart: `1-train-3-1`. */
export function parseRound(id: string): { job: number; kind: Kind; ordinal: number; attempt: number } {
  const [job, kind, ordinal, attempt] = id.split('-');
  return { job: Number(job), kind: kind as Kind, ordinal: Number(ordinal), attempt: Number(attempt) };
}
