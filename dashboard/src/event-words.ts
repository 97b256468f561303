// Which sentence tells of an event.
import type { Event, JournalRecord } from './journal/events';

/** Events that the journal writes in one way and people tell in two. */
type Told =
  | Exclude<Event['type'], 'readiness_changed'>
  | 'became_ready'
  | 'became_unready'
  | 'client_joined_again';

export interface Sentence {
  key: Told;
  values: Record<string, string | number>;
}

/** The sentence of an event and what stands in it; nothing for an event of a newer server. */
export function sentence(record: JournalRecord): Sentence | undefined {
  switch (record.type) {
    case 'federation_created':
      return { key: record.type, values: { name: record.name } };
    case 'client_joined':
      return { key: record.epoch > 1 ? 'client_joined_again' : record.type, values: { client: record.client } };
    case 'readiness_changed':
      return { key: record.ready ? 'became_ready' : 'became_unready', values: { client: record.client } };
    case 'client_left':
    case 'client_evicted':
    case 'client_lost':
    case 'client_returned':
    case 'facts_changed':
      return { key: record.type, values: { client: record.client } };
    default:
      return ofJob(record) ?? ofRound(record);
  }
}

function ofJob(record: JournalRecord): Sentence | undefined {
  switch (record.type) {
    case 'job_created':
      return { key: record.type, values: { job: record.job, recipe: record.plan.name } };
    case 'job_started':
    case 'job_paused':
    case 'job_resumed':
    case 'job_stepped':
    case 'measured':
      return { key: record.type, values: { job: record.job } };
    case 'training_ended':
      return { key: record.type, values: { job: record.job, stop: record.reason } };
    case 'job_ended':
      return { key: record.type, values: { job: record.job, outcome: record.outcome } };
    case 'model_published':
      return { key: record.type, values: { version: record.version } };
    case 'alias_set':
      return { key: record.type, values: { alias: record.alias, version: record.version } };
    default:
      return undefined;
  }
}

function ofRound(record: JournalRecord): Sentence | undefined {
  switch (record.type) {
    case 'round_opened':
      return { key: record.type, values: { round: record.round, count: record.cohort.length } };
    case 'answer_accepted':
    case 'task_reassigned':
    case 'task_declined':
      return { key: record.type, values: { round: record.round, client: record.client } };
    case 'round_completed':
      return { key: record.type, values: { round: record.round, count: record.participants.length } };
    case 'round_abandoned':
      return { key: record.type, values: { round: record.round, reported: record.reported, quorum: record.quorum } };
    case 'evaluated':
      return { key: record.type, values: { round: record.round, version: record.version } };
    default:
      return undefined;
  }
}
