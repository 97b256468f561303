// What the kept events tell of one client.
import type { Entry } from './journal/entry';
import { parseRound } from './journal/events';
import type { Complaint } from './journal/fold';

export interface ClientStory {
  /** The newest job that it has trained in, and its loss in each round that it answered. */
  job: number | undefined;
  losses: [round: number, loss: number][];
  /** The newest first. */
  complaints: Complaint[];
}

/** Of a client: `known` are everybody's complaints, some of which may be older than the entries. */
export function storyOf(client: string, entries: readonly Entry[], known: readonly Complaint[]): ClientStory {
  const complaints = new Map(known.filter((complaint) => complaint.client === client).map((complaint) => [complaint.sequence, complaint]));
  let job: number | undefined;
  let losses: ClientStory['losses'] = [];
  for (const { sequence, record } of entries) {
    if (!('client' in record) || record.client !== client) continue;
    if (record.type === 'answer_accepted' && 'update' in record.answer) {
      const { job: of, ordinal } = parseRound(record.round);
      if (of !== job) [job, losses] = [of, []];
      const loss = record.answer.update.scalars['train_loss'];
      if (loss !== undefined) losses.push([ordinal, loss]);
    }
    if ((record.type === 'task_declined' || record.type === 'readiness_changed') && record.reason !== '') {
      const round = 'round' in record ? record.round : undefined;
      complaints.set(sequence, { sequence, at: Number(record.at), client, round, reason: record.reason });
    }
  }
  return { job, losses, complaints: [...complaints.values()].sort((a, b) => b.sequence - a.sequence) };
}
