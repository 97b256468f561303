// Journals for tests.
import { createHash } from 'node:crypto';
import { parseLine, type Entry } from '../../src/journal/entry';

/** The lines of a journal that has these events, chained as the server chains them. */
export function lines(events: readonly object[]): string[] {
  let previous = Buffer.alloc(32);
  return events.map((event, i) => {
    const text = JSON.stringify({ v: 1, at: String(i * 100), ...event });
    previous = createHash('sha256').update(previous).update(text).digest();
    return `{"sequence":"${i + 1}","hash":"${previous.toString('hex')}","event":${text}}`;
  });
}

export function entries(events: readonly object[]): Entry[] {
  return lines(events).map(parseLine);
}

const PLAN = { name: 'fitbit', rounds: 3, strategy: { name: 'fedavg' }, cohort: { deadline_s: 600 }, evaluate_every: 1 };

export const created = (job: number) => ({ type: 'job_created', job, seed: '0', refit_of: null, plan: PLAN });
export const opened = (round: string, cohort: string[]) => ({ type: 'round_opened', round, version: 1, cohort, quorum: cohort.length, deadline: '600000' });
export const update = (round: string, client: string, weight: number, loss: number) => ({
  type: 'answer_accepted', round, client,
  answer: { update: { sha256: '00', bytes: '1000', weight, scalars: { train_loss: loss } } },
});
export const completed = (round: string, participants: string[]) => ({ type: 'round_completed', round, participants });
export const published = (version: number, job: number, round: number) => ({ type: 'model_published', version, job, round, sha256: '00', parent: version - 1 });

/** A job of one training round with two clients, whose model is then judged. */
export const ROUND = [
  { type: 'federation_created', name: 'fitbit' },
  { type: 'client_joined', client: 'anna', epoch: 1 },
  { type: 'client_joined', client: 'bora', epoch: 1 },
  created(1),
  { type: 'job_started', job: 1 },
  opened('1-train-1-1', ['anna', 'bora']),
  update('1-train-1-1', 'anna', 30, 1),
  update('1-train-1-1', 'bora', 10, 3),
  completed('1-train-1-1', ['anna', 'bora']),
  published(2, 1, 1),
  { type: 'evaluated', round: '1-evaluate-1-1', version: 2, metrics: { global: { mae: 12.5 } } },
];
