/** Counters of a proxy since its start. */
export class StatsCounter {
  readonly reads: Map<string, number> = new Map();
  readonly retries: Map<string, number> = new Map();
  writes = 0;
  /** Reads answered on connections that several clients share. */
  laneReads = 0;
  refusedLogins = 0;
  cancels = 0;

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
    yield ['reads.lanes', this.laneReads];
    for (const [member, count] of this.reads) yield [`reads.${member}`, count];
    for (const [cause, count] of this.retries) yield [`retries.${cause}`, count];
  }
}
