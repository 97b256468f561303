// What a job waits for. The server says it in English; where its sentence is a known one it is said in the reader's language.

/** A sentence of the catalogue and what stands in it, or the server's own words. */
export type Waiting =
  | { key: 'clients'; needed: number; present: number; more: string }
  | { key: 'answers'; round: string; reported: number; quorum: number; awaited: Awaited[]; more: number }
  | { key: 'aggregate'; round: string; reported: number; awaited: number }
  | { key: 'retry'; abandoned: number; more: string }
  | { key: 'resume' | 'model' | 'start' }
  | { key: 'gave_up'; abandoned: number; more: string }
  | { key: 'other'; words: string };

/** A client that is waited for. */
export interface Awaited {
  client: string;
  doing: 'training' | 'sending' | 'nothing';
  /** How long ago it was heard of, in seconds. */
  seen: number | undefined;
  /** When its lease ends, in seconds. */
  lease: number | undefined;
}

type Groups = Record<string, string>;

const SENTENCES: [RegExp, (groups: Groups) => Waiting][] = [
  [/^(?<needed>\d+) clients are needed, (?<present>\d+) are there(?:; (?<more>.*))?$/s,
    ({ needed, present, more }) => ({ key: 'clients', needed: Number(needed), present: Number(present), more: more ?? '' })],
  [/^round (?<round>\S+): (?<reported>\d+) of (?<quorum>\d+) needed; (?<who>.*)$/s,
    ({ round = '', reported, quorum, who = '' }) => ({ key: 'answers', round, reported: Number(reported), quorum: Number(quorum), ...parseAwaited(who) })],
  [/^round (?<round>\S+) has (?<reported>\d+) answers and awaits (?<awaited>\d+) more; aggregate it$/,
    ({ round = '', reported, awaited }) => ({ key: 'aggregate', round, reported: Number(reported), awaited: Number(awaited) })],
  [/^the round was abandoned \((?<abandoned>\d+) in a row\); it is tried again in a moment(?:; (?<more>.*))?$/s,
    ({ abandoned, more }) => ({ key: 'retry', abandoned: Number(abandoned), more: more ?? '' })],
  [/^(?<abandoned>\d+) rounds in a row were abandoned(?:; (?<more>.*))?$/s,
    ({ abandoned, more }) => ({ key: 'gave_up', abandoned: Number(abandoned), more: more ?? '' })],
  [/^the job is paused; resume it, or train one round$/, () => ({ key: 'resume' })],
  [/^the next model version is being made$/, () => ({ key: 'model' })],
  [/^it was not started yet$/, () => ({ key: 'start' })],
];

/** What a sentence of the server says. */
export function parseWaiting(words: string): Waiting {
  for (const [sentence, said] of SENTENCES) {
    const found = sentence.exec(words);
    if (found) return said({ ...found.groups });
  }
  return { key: 'other', words };
}

const AWAITED =
  /^(?<client>\S+?)(?<doing> is training,| is sending its answer,)? (?:last seen (?<seen>\d+) s ago|not seen since the server was started), its lease ends in (?<lease>\d+) s$/;

function parseAwaited(who: string): { awaited: Awaited[]; more: number } {
  const awaited: Awaited[] = [];
  let more = 0;
  for (const part of who.split('; ').filter((part) => part !== '')) {
    const others = /^and (\d+) more$/.exec(part);
    if (others) more = Number(others[1]);
    else awaited.push(parseClient(part));
  }
  return { awaited, more };
}

function parseClient(words: string): Awaited {
  const { client = words.split(' ')[0] ?? '', doing = '', seen, lease }: Groups & { doing?: string } = AWAITED.exec(words)?.groups ?? {};
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  return {
    client,
    doing: doing.includes('training') ? 'training' : doing.includes('sending') ? 'sending' : 'nothing',
    seen: number(seen),
    lease: number(lease),
  };
}
