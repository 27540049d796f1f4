import { type Histogram, newHistogram, observe, observed } from '@understudy/core/routing';

/** Why a statement that was held failed: nothing came in time, or too many were held already. */
export type HoldFailure = 'timed-out' | 'full';

/** Counters of a proxy since its start. */
export class StatsCounter {
  readonly reads: Map<string, number> = new Map();
  readonly retries: Map<string, number> = new Map();
  writes = 0;
  /** Reads answered on connections that several clients share. */
  laneReads = 0;
  refusedLogins = 0;
  cancels = 0;

  /** How long members took to answer. */
  readonly answers: Map<string, Histogram> = new Map();
  /** How long statements were held for a primary. */
  readonly holds: Histogram = newHistogram();
  readonly holdFailures: Record<HoldFailure, number> = { 'timed-out': 0, full: 0 };

  answered(member: string, ms: number): void {
    let answers = this.answers.get(member);
    if (answers === undefined) this.answers.set(member, (answers = newHistogram()));
    observe(answers, ms);
  }

  countRead(member: string): void {
    this.reads.set(member, (this.reads.get(member) ?? 0) + 1);
  }

  countRetry(cause: string): void {
    this.retries.set(cause, (this.retries.get(cause) ?? 0) + 1);
  }

  /** By name, for `SHOW understudy.stats`. */
  *counts(): IterableIterator<readonly [name: string, value: number]> {
    yield ['writes', this.writes];
    yield ['refused_logins', this.refusedLogins];
    yield ['cancels', this.cancels];
    yield ['holds', observed(this.holds)];
    for (const [why, count] of Object.entries(this.holdFailures)) yield [`holds.${why}`, count];
    yield ['reads.lanes', this.laneReads];
    for (const [member, count] of this.reads) yield [`reads.${member}`, count];
    for (const [cause, count] of this.retries) yield [`retries.${cause}`, count];
  }
}
