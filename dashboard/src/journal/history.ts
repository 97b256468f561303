// Stories at some moments of a journal, from which any other is not far.
import { EMPTY, type Story } from './fold';

/** How many moments are kept. A story shares most of what it is made of with the one before. */
const KEPT = 64;

export class History {
  private kept: Story[] = [];
  /** How many events lie between two moments at least. */
  private step = 64;

  /** Says what the journal has come to. */
  note(story: Story): void {
    if (story.sequence < (this.kept.at(-1)?.sequence ?? 0) + this.step) return;
    this.kept.push(story);
    while (this.kept.length > KEPT) {
      this.step *= 2;
      this.kept = this.kept.filter((_, i) => i % 2 === 1);
    }
  }

  /** The last moment that is kept and not after event `at`. */
  before(at: number): Story {
    return this.kept.findLast((story) => story.sequence <= at) ?? EMPTY;
  }
}
