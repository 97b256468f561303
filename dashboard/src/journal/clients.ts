// What each client of a job came to, round by round: its own training loss, and its own figures on validation rows. Pure.
import { csv } from '../format';
import { parseRound, type Answer, type JournalRecord, type Kind } from './events';
import { byMerit, metrics } from './statistics';

export type Spot = readonly [round: number, value: number];

/** How a figure spreads over the clients that have it in a round. */
export interface Spread {
  round: number;
  clients: number;
  min: number;
  p10: number;
  median: number;
  p90: number;
  max: number;
}

/** What stands beside a client's figures in a table and is no figure of a model. */
const BESIDE = ['weight', 'bytes_up'];

/** The figures of one job's clients, columns of numbers by round: there may be millions. */
export class ClientFigures {
  private readonly places = new Map<string, number>();
  private readonly rounds = new Map<number, Map<string, Column>>();
  private readonly spreads = new Map<Column, Omit<Spread, 'round'>>();
  private open: { id: string; kind: Kind; ordinal: number; answers: Map<string, Record<string, number>> } | undefined;

  constructor(private readonly job: number) {}

  take(record: JournalRecord): void {
    if (!('round' in record) || typeof record.round !== 'string') return;
    const { job, kind, ordinal } = parseRound(record.round);
    if (job !== this.job || (kind !== 'train' && kind !== 'evaluate')) return;
    if (record.type === 'round_opened') this.open = { id: record.round, kind, ordinal, answers: new Map() };
    // Where nobody is waited for, an answer to an older task counts in the round that is open.
    if (record.type === 'answer_accepted' && (this.open?.id === record.round || (this.open?.kind === 'train' && kind === 'train'))) {
      this.open.answers.set(record.client, own(record.answer));
    }
    if (record.type === 'round_completed' && this.open?.id === record.round) this.keep(this.open.ordinal, this.open.answers);
    if (record.type === 'round_completed' || record.type === 'round_abandoned') this.open = undefined;
  }

  /** How many clients have answered in a round that was completed. */
  get clients(): number {
    return this.places.size;
  }

  /** The clients whose names have this in them, in the order of names, and not more than so many. */
  find(text: string, most: number): string[] {
    return [...this.places.keys()].filter((name) => name.includes(text)).sort().slice(0, most);
  }

  /** A client's figure over the rounds that have it, up to one. */
  curve(client: string, figure: string, upTo: number): Spot[] {
    const place = this.places.get(client) ?? -1;
    return this.columns(figure, upTo).flatMap(([round, column]): Spot[] => {
      const value = column.at(place);
      return value === undefined ? [] : [[round, value]];
    });
  }

  /** The spread of a figure in each round up to one. */
  spread(figure: string, upTo: number): Spread[] {
    return this.columns(figure, upTo).map(([round, column]) => {
      const known = this.spreads.get(column) ?? spreadOf(column.values());
      this.spreads.set(column, known);
      return { round, ...known };
    });
  }

  /** Who had the best figure, the worst and the one in the middle in the last round that has it, up to one. */
  extremes(figure: string, upTo: number): { best: string; median: string; worst: string } | undefined {
    const column = this.columns(figure, upTo).at(-1)?.[1];
    const compare = byMerit(figure);
    const there = [...this.places].flatMap(([name, place]) => {
      const value = column?.at(place);
      return value === undefined ? [] : [{ name, value }];
    });
    there.sort((a, b) => compare(a.value, b.value) || (a.name < b.name ? -1 : 1));
    const [best, median, worst] = [there[0], there[Math.floor((there.length - 1) / 2)], there.at(-1)];
    return best && median && worst && { best: best.name, median: median.name, worst: worst.name };
  }

  /** Every client in every round up to one, as a CSV file's text in pieces. */
  *table(upTo: number): Generator<string> {
    const rounds = this.upTo(upTo);
    const names = [...new Set(rounds.flatMap(([, columns]) => [...columns.keys()]))].filter((name) => !BESIDE.includes(name));
    const head = [...BESIDE, 'train_loss', ...names.filter((name) => name !== 'train_loss').sort()];
    yield csv([['round', 'client', ...head]]);
    const clients = [...this.places].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [round, columns] of rounds) {
      const rows = clients.map(([client, place]) => [round, client, ...head.map((name) => columns.get(name)?.at(place))]);
      yield csv(rows.filter((row) => row.slice(2).some((value) => value !== undefined)));
    }
  }

  private keep(round: number, answers: ReadonlyMap<string, Record<string, number>>): void {
    const columns = this.rounds.get(round) ?? new Map<string, Column>();
    this.rounds.set(round, columns);
    for (const [client, figures] of answers) {
      const place = this.places.get(client) ?? this.places.size;
      this.places.set(client, place);
      for (const [name, value] of Object.entries(figures)) {
        const column = columns.get(name) ?? new Column();
        columns.set(name, column);
        column.set(place, value);
      }
    }
  }

  private upTo(last: number): [number, Map<string, Column>][] {
    return [...this.rounds].filter(([round]) => round <= last).sort(([a], [b]) => a - b);
  }

  private columns(figure: string, upTo: number): [number, Column][] {
    return this.upTo(upTo).flatMap(([round, columns]): [number, Column][] => {
      const column = columns.get(figure);
      return column === undefined ? [] : [[round, column]];
    });
  }
}

/** A figure of a round, by client. */
class Column {
  private numbers = new Float64Array(64).fill(Number.NaN);

  set(place: number, value: number): void {
    if (place >= this.numbers.length) {
      const larger = new Float64Array(2 * place).fill(Number.NaN);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    this.numbers[place] = value;
  }

  at(place: number): number | undefined {
    const value = this.numbers[place];
    return value === undefined || Number.isNaN(value) ? undefined : value;
  }

  /** Those that there are. */
  values(): Float64Array {
    return this.numbers.filter((value) => !Number.isNaN(value));
  }
}

/** What an answer says of its client alone. */
function own(answer: Answer): Record<string, number> {
  if ('evaluated' in answer) return metrics(answer.evaluated.sums['global'] ?? {});
  if (!('update' in answer)) return {};
  const { weight, bytes, scalars } = answer.update;
  const loss = scalars['train_loss'];
  return { weight, bytes_up: Number(bytes), ...(loss === undefined ? {} : { train_loss: loss }) };
}

function spreadOf(values: Float64Array): Omit<Spread, 'round'> {
  const sorted = values.sort();
  const at = (share: number) => quantile(sorted, share);
  return { clients: sorted.length, min: at(0), p10: at(0.1), median: at(0.5), p90: at(0.9), max: at(1) };
}

/** Between two of the sorted values in proportion (Hyndman and Fan 1996, definition 7: that of R and NumPy). */
function quantile(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(place)] ?? Number.NaN, sorted[Math.ceil(place)] ?? Number.NaN];
  return low + (place - Math.floor(place)) * (high - low);
}
