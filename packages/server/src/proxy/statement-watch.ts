import type { RoutedStatement, StatementSample } from '@understudy/core/routing';

/** Statements that one message carries; of more, a fair sample. */
export const SAMPLE_LIMIT = 40;
/** Longer texts are cut: this is for looking at, not for running. */
const TEXT_LIMIT_BYTES = 400;

/** A statement that was answered, as the session knows it. Its text is made only when it is kept. */
export interface AnsweredStatement {
  readonly fingerprint: Uint8Array;
  readonly kind: RoutedStatement['kind'];
  readonly member: string;
  readonly reason: string;
  readonly waitMs: number;
  readonly runMs: number;
  readonly endedAtMs: number;
}

/**
 * What is routed where, for whoever looks at it now. While nobody does, the cost of a statement is one look at `active`. The sample is drawn
 * so that each statement of the time since the last one has the same chance to be in it.
 */
export class StatementWatch {
  #active = false;
  #kept: AnsweredStatement[] = [];
  #seen = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Begins or ends to look; what was seen before is forgotten. */
  setActive(active: boolean): void {
    this.#active = active;
    this.#kept = [];
    this.#seen = 0;
  }

  note(statement: AnsweredStatement): void {
    this.#seen += 1;
    if (this.#kept.length < SAMPLE_LIMIT) this.#kept.push(statement);
    else {
      const place = Math.floor(this.#random() * this.#seen);
      if (place < SAMPLE_LIMIT) this.#kept[place] = statement;
    }
  }

  /** The sample since the last call; null when nothing was routed. */
  take(nowMs: number): StatementSample | null {
    if (this.#seen === 0) return null;
    const statements = this.#kept.map(({ fingerprint, ...rest }) => ({ text: textOf(fingerprint), ...rest }));
    const sample = { atMs: nowMs, statements, seen: this.#seen };
    this.#kept = [];
    this.#seen = 0;
    return sample;
  }
}

/** A fingerprint is the statement's own text without literals and comments. */
function textOf(fingerprint: Uint8Array): string {
  const text = Buffer.from(fingerprint.buffer, fingerprint.byteOffset, Math.min(fingerprint.length, TEXT_LIMIT_BYTES)).toString('utf8');
  return fingerprint.length > TEXT_LIMIT_BYTES ? `${text}…` : text;
}
