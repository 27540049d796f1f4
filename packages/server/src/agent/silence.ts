import { type Vitals, waitedSince } from '../postgres/index.ts';

/** When the server and its observer waited for a processor for this share of a span, they were starved of it. */
const STARVED_SHARE = 0.1;
/** Silence of a starved server counts for this share: it will answer when its turn comes, and a restart would only add to the load. */
const STARVED_WEIGHT = 1 / 8;

/**
 * How much of a span of silence tells of a server that hangs, in milliseconds. A longer span than `limitMs` is one in which the observer did not
 * run itself, and tells nothing. What was stopped is never taken for starved.
 */
export function countedMs(spanMs: number, limitMs: number, before: Vitals | null, after: Vitals | null): number {
  const span = Math.max(0, Math.min(spanMs, limitMs));
  if (before === null || after === null || after.stopped) return span;
  return waitedSince(before, after) >= spanMs * STARVED_SHARE ? span * STARVED_WEIGHT : span;
}

/**
 * For how long a server has been silent, as far as that is its own doing. Fed at each round of the agent; begins anew with each answer.
 * Only decides how soon somebody acts: safety rests on no clock.
 */
export class SilenceMeter {
  readonly #limitMs: number;
  #countedMs = 0;
  #last: { readonly atMs: number; readonly vitals: Vitals | null } | null = null;

  /** `limitMs`: the longest time between two rounds of an agent that runs as it should. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  get countedMs(): number {
    return this.#countedMs;
  }

  /** The server has answered, or another life of it began. */
  restart(nowMs: number): void {
    this.#countedMs = 0;
    this.#last = { atMs: nowMs, vitals: null };
  }

  measure(nowMs: number, vitals: Vitals | null): void {
    if (this.#last !== null) this.#countedMs += countedMs(nowMs - this.#last.atMs, this.#limitMs, this.#last.vitals, vitals);
    this.#last = { atMs: nowMs, vitals };
  }
}
