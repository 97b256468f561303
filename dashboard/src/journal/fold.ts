// What a journal comes to: the state that the screens show, as a fold over events. Pure: no clock, no request, nothing of React.
import type { Metrics, Plan } from '../api/types';
import type { Entry } from './entry';
import { parseRound, type Kind, type JournalRecord, type Outcome } from './events';

/** One client's answer in a round. */
export interface Answered {
  /** Federation time, in milliseconds. */
  at: number;
  /** Of its update, as it lies on the server; 0 for sums. */
  bytes: number;
  weight: number | undefined;
  loss: number | undefined;
}

export interface Round {
  id: string;
  job: number;
  kind: Kind;
  ordinal: number;
  attempt: number;
  version: number | null;
  cohort: readonly string[];
  /** How many were asked, also when their names are no longer kept. */
  asked: number;
  quorum: number;
  goal: number;
  opened: number;
  deadline: number;
  ended: number | undefined;
  outcome: 'open' | 'complete' | 'abandoned';
  answers: ReadonlyMap<string, Answered>;
  /** How many have answered, also when their answers are no longer kept. */
  reported: number;
  bytes: number;
  /** The mean training loss, weighted as the updates are. */
  loss: number | undefined;
  /** What it is made of: the sums of weighted losses and of weights. */
  losses: { readonly sum: number; readonly weight: number };
  declined: ReadonlyMap<string, string>;
  /** Who was lost, left or was sent away while the round waited for them. */
  gone: ReadonlyMap<string, 'lost' | 'left' | 'evicted'>;
  /** Whether names and answers were let go: only the newest rounds keep them. */
  folded: boolean;
}

/** A training round that ended in a model version, with the figures of that version on validation rows. */
export interface Point {
  round: number;
  id: string;
  version: number;
  loss: number | undefined;
  bytes: number;
  asked: number;
  reported: number;
  /** From its beginning to its model, in milliseconds of federation time. */
  took: number;
  /** When its model was published, in milliseconds of federation time. */
  at: number;
  /** Bytes of all updates that the job had received by then, also of rounds that came to nothing. */
  received: number;
  metrics: Metrics;
}

export interface Job {
  job: number;
  plan: Plan;
  /** A text, for it has 64 bits. */
  seed: string;
  refitOf: number | null;
  /** Federation time at which it was first started, in milliseconds. */
  began: number | undefined;
  status: 'created' | 'running' | 'paused' | Outcome;
  reason: string;
  trained: string | undefined;
  /** In the order in which they were opened. */
  rounds: readonly Round[];
  points: readonly Point[];
  /** Of all updates that it has received. */
  bytes: number;
  /** Of the final model, on test rows: `global`, `personalised`. */
  tested: Readonly<Record<string, Metrics>>;
}

/** A model version. */
export interface Version {
  version: number;
  job: number;
  /** 0 is the initial model. */
  round: number;
  sha256: string;
  parent: number | null;
  /** On validation rows. */
  validation: Metrics;
  /** On test rows: `global`, `personalised`. */
  tested: Readonly<Record<string, Metrics>>;
}

/** What a site said that went wrong. */
export interface Complaint {
  sequence: number;
  at: number;
  client: string;
  round: string | undefined;
  reason: string;
}

export interface Story {
  sequence: number;
  hash: string;
  /** Federation time of the last event, in milliseconds. */
  at: number;
  jobs: ReadonlyMap<number, Job>;
  /** Numbered from 1, without gaps. */
  versions: readonly Version[];
  /** The version that each name stands for. */
  aliases: ReadonlyMap<string, number>;
  /** The newest last, and only the newest. */
  complaints: readonly Complaint[];
  /** How often something happened after which this is another: what is fetched anew when they change. */
  changes: { readonly clients: number; readonly jobs: number; readonly models: number };
}

/** How many rounds of a job keep who was asked and who answered what. */
export const KEPT_ROUNDS = 40;
const KEPT_COMPLAINTS = 200;

export const EMPTY: Story = {
  sequence: 0,
  hash: '',
  at: 0,
  jobs: new Map(),
  versions: [],
  aliases: new Map(),
  complaints: [],
  changes: { clients: 0, jobs: 0, models: 0 },
};

/** The story with these entries after it. Entries that it has already change nothing. */
export function fold(story: Story, entries: readonly Entry[]): Story {
  const fresh = entries.filter((entry) => entry.sequence > story.sequence);
  if (fresh.length === 0) return story;
  const draft = new Draft(story);
  for (const entry of fresh) draft.take(entry);
  return draft.story;
}

type Loose<T> = { -readonly [K in keyof T]: T[K] };
type OpenRound = Loose<Round> & { answers: Map<string, Answered>; declined: Map<string, string>; gone: Map<string, 'lost' | 'left' | 'evicted'> };
type OpenJob = Loose<Job> & { rounds: Round[]; points: Point[] };

/** A story in the making. What it changes it copies first, once: readers of the story before see nothing of it. */
class Draft {
  readonly story: Omit<Loose<Story>, 'jobs' | 'versions' | 'complaints' | 'changes'> & {
    jobs: Map<number, Job>;
    versions: Version[];
    complaints: Complaint[];
    changes: Loose<Story['changes']>;
  };
  private readonly own = new Set<unknown>();

  constructor(story: Story) {
    this.story = { ...story, jobs: new Map(story.jobs), versions: [...story.versions], complaints: [...story.complaints], changes: { ...story.changes } };
  }

  take({ sequence, hash, record }: Entry): void {
    this.story.sequence = sequence;
    this.story.hash = hash;
    this.story.at = Number(record.at);
    this.ofClients(record);
    this.ofJobs(record);
    this.ofRounds(record);
    this.ofModels(record);
  }

  private ofClients(record: JournalRecord): void {
    switch (record.type) {
      case 'client_lost':
        return this.away(record.client, 'lost');
      case 'client_left':
        return this.away(record.client, 'left');
      case 'client_evicted':
        return this.away(record.client, 'evicted');
      case 'readiness_changed':
        if (record.reason !== '') this.complain(record.client, undefined, record.reason);
        this.story.changes.clients += 1;
        return;
      case 'client_joined':
      case 'client_returned':
      case 'facts_changed':
        this.story.changes.clients += 1;
        return;
      default:
    }
  }

  /** A member is gone: no open round waits for it. */
  private away(client: string, how: 'lost' | 'left' | 'evicted'): void {
    this.story.changes.clients += 1;
    for (const { job, rounds } of this.story.jobs.values()) {
      const last = rounds.at(-1);
      if (last?.outcome === 'open' && asks(last, client) && !last.answers.has(client)) {
        this.round(job, last.id)?.gone.set(client, how);
      }
    }
  }

  private ofJobs(record: JournalRecord): void {
    if (record.type === 'job_created') {
      const { job, plan, seed, refit_of: refitOf } = record;
      this.story.jobs.set(job, {
        job, plan, seed, refitOf, began: undefined, status: 'created', reason: '', trained: undefined, rounds: [], points: [], bytes: 0, tested: {},
      });
      this.story.changes.jobs += 1;
      return;
    }
    const changed = changeOfJob(record);
    const job = changed && 'job' in record ? this.job(record.job) : undefined;
    if (changed === undefined || job === undefined) return;
    Object.assign(job, changed);
    if (record.type === 'job_started' || record.type === 'job_stepped') job.began ??= Number(record.at);
    this.story.changes.jobs += 1;
    const last = job.rounds.at(-1);
    if (record.type === 'job_ended' && last?.outcome === 'open') this.end(last.id, 'abandoned', Number(record.at));
  }

  private ofRounds(record: JournalRecord): void {
    switch (record.type) {
      case 'round_opened':
        return this.open(record);
      case 'answer_accepted':
        return this.answer(record);
      case 'task_reassigned': {
        const round = this.collecting(record.round);
        if (round) Object.assign(round, { cohort: [...round.cohort, record.client], asked: round.asked + 1 });
        return;
      }
      case 'task_declined':
        this.collecting(record.round)?.declined.set(record.client, record.reason);
        this.complain(record.client, record.round, record.reason);
        this.story.changes.clients += 1;
        return;
      case 'round_completed':
        return this.end(record.round, 'complete', Number(record.at));
      case 'round_abandoned':
        return this.end(record.round, 'abandoned', Number(record.at));
      default:
    }
  }

  private open(record: Extract<JournalRecord, { type: 'round_opened' }>): void {
    const id = record.round;
    const parsed = parseRound(id);
    const job = this.job(parsed.job);
    if (!job) return;
    const { version, cohort, quorum, goal = cohort.length } = record;
    const round: OpenRound = {
      id, ...parsed, version, cohort, asked: cohort.length, quorum, goal,
      opened: Number(record.at), deadline: Number(record.deadline), ended: undefined, outcome: 'open',
      answers: new Map(), reported: 0, bytes: 0, loss: undefined, losses: { sum: 0, weight: 0 }, declined: new Map(), gone: new Map(), folded: false,
    };
    this.own.add(round);
    job.rounds.push(round);
    const old = job.rounds.at(-1 - KEPT_ROUNDS);
    if (old && !old.folded) {
      job.rounds[job.rounds.length - 1 - KEPT_ROUNDS] = { ...old, cohort: [], answers: new Map(), declined: new Map(), gone: new Map(), folded: true };
    }
    this.story.changes.jobs += 1;
  }

  private answer(record: Extract<JournalRecord, { type: 'answer_accepted' }>): void {
    this.story.changes.jobs += 1;
    const round = this.collecting(record.round);
    if (!round) return;
    const update = 'update' in record.answer ? record.answer.update : undefined;
    const bytes = Number(update?.bytes ?? 0);
    const loss = update?.scalars['train_loss'];
    // Where nobody is waited for, a client may answer again: its last answer counts.
    const before = round.answers.get(record.client);
    const answer = { at: Number(record.at), bytes, weight: update?.weight, loss };
    round.answers.set(record.client, answer);
    round.reported = round.answers.size;
    round.bytes += bytes;
    const job = this.job(round.job);
    if (job) job.bytes += bytes;
    round.losses = plus(plus(round.losses, answer, 1), before, -1);
    round.loss = round.losses.weight > 0 ? round.losses.sum / round.losses.weight : undefined;
  }

  private end(id: string, outcome: 'complete' | 'abandoned', at: number): void {
    const round = this.round(parseRound(id).job, id);
    if (round?.outcome === 'open') Object.assign(round, { outcome, ended: at });
    this.story.changes.jobs += 1;
  }

  private ofModels(record: JournalRecord): void {
    if (record.type === 'model_published') this.publish(record);
    if (record.type === 'evaluated') this.judge(record);
    if (record.type === 'alias_set') this.story.aliases = new Map([...this.story.aliases, [record.alias, record.version]]);
    if (record.type === 'model_published' || record.type === 'evaluated' || record.type === 'alias_set') {
      this.story.changes.models += 1;
      this.story.changes.jobs += 1;
    }
  }

  private publish({ job: id, version, round: ordinal, sha256, parent, at }: Extract<JournalRecord, { type: 'model_published' }>): void {
    this.story.versions[version - 1] = { version, job: id, round: ordinal, sha256, parent, validation: {}, tested: {} };
    const job = this.job(id);
    const round = job?.rounds.findLast((round) => round.kind === 'train' && round.ordinal === ordinal);
    if (!job || !round) return;
    const { loss, bytes, asked, reported, opened } = round;
    job.points.push({ round: ordinal, id: round.id, version, loss, bytes, asked, reported, took: Number(at) - opened, at: Number(at), received: job.bytes, metrics: {} });
  }

  private judge({ round: id, version, metrics }: Extract<JournalRecord, { type: 'evaluated' }>): void {
    const { job: number, kind } = parseRound(id);
    const known = this.story.versions[version - 1];
    if (known) this.story.versions[version - 1] = { ...known, ...(kind === 'test' ? { tested: metrics } : { validation: metrics['global'] ?? {} }) };
    const job = this.job(number);
    if (!job) return;
    if (kind === 'test') job.tested = metrics;
    const place = job.points.findLastIndex((point) => point.version === version);
    const point = job.points[place];
    if (kind === 'evaluate' && point) job.points[place] = { ...point, metrics: metrics['global'] ?? {} };
  }

  private complain(client: string, round: string | undefined, reason: string): void {
    const { sequence, at, complaints } = this.story;
    complaints.push({ sequence, at, client, round, reason });
    if (complaints.length > KEPT_COMPLAINTS) complaints.shift();
  }

  /** A job that may be changed. */
  private job(id: number): OpenJob | undefined {
    const job = this.story.jobs.get(id);
    if (!job || this.own.has(job)) return job as OpenJob | undefined;
    const copy = { ...job, rounds: [...job.rounds], points: [...job.points] };
    this.own.add(copy);
    this.story.jobs.set(id, copy);
    return copy;
  }

  /** A round that may be changed. */
  private round(job: number, id: string): OpenRound | undefined {
    const rounds = this.job(job)?.rounds ?? [];
    const place = rounds.findLastIndex((round) => round.id === id);
    const round = rounds[place];
    if (!round || this.own.has(round)) return round as OpenRound | undefined;
    const copy = { ...round, answers: new Map(round.answers), declined: new Map(round.declined), gone: new Map(round.gone) };
    this.own.add(copy);
    rounds[place] = copy;
    return copy;
  }

  /** The open round that takes the answers to a task of round `id`: that one or, in an asynchronous job, any training round. */
  private collecting(id: string): OpenRound | undefined {
    const { job, kind } = parseRound(id);
    const last = this.story.jobs.get(job)?.rounds.at(-1);
    const takes = last?.outcome === 'open' && (last.id === id || (kind === 'train' && last.kind === 'train'));
    return takes ? this.round(job, last.id) : undefined;
  }
}

function changeOfJob(record: JournalRecord): Partial<Job> | undefined {
  switch (record.type) {
    case 'job_started':
    case 'job_resumed':
      return { status: 'running' };
    case 'job_paused':
    case 'job_stepped':
      return { status: 'paused' };
    case 'training_ended':
      return record.reason === 'stopped' ? { trained: record.reason, status: 'running' } : { trained: record.reason };
    case 'job_ended':
      return { status: record.outcome, reason: record.reason ?? '' };
    default:
      return undefined;
  }
}

function plus(losses: Round['losses'], answer: Answered | undefined, sign: 1 | -1): Round['losses'] {
  if (answer?.loss === undefined || answer.weight === undefined) return losses;
  return { sum: losses.sum + sign * answer.weight * answer.loss, weight: losses.weight + sign * answer.weight };
}

const cohorts = new WeakMap<readonly string[], ReadonlySet<string>>();

/** Whether a round asks a client. Of thousands many may be lost at once, so a cohort is made a set once. */
function asks({ cohort }: Round, client: string): boolean {
  const names = cohorts.get(cohort) ?? new Set(cohort);
  cohorts.set(cohort, names);
  return names.has(client);
}
