import type { RouterTable } from '@understudy/core/sql';
import type { LocalResult } from './local-answer.ts';

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

  /** The answer to `SHOW understudy.stats` and its like. */
  table(_table: RouterTable): LocalResult {
    const rows: (readonly [string, string])[] = [
      ['writes', String(this.writes)],
      ['reads.lanes', String(this.laneReads)],
    ];
    for (const [member, count] of this.reads) rows.push([`reads.${member}`, String(count)]);
    for (const [cause, count] of this.retries) rows.push([`retries.${cause}`, String(count)]);
    return { columns: ['name', 'value'], rows, tag: 'SHOW' };
  }
}
