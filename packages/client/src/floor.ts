import { type Lsn, LSN_ZERO, parseLsn } from '@understudy/core/cluster';
import type pg from 'pg';

const WRITTEN = 'SELECT pg_catalog.pg_current_wal_insert_lsn() AS lsn';

/**
 * The position that a read must not be older than: sampled on the primary *after* the last commit that this process was told of (before it the
 * position would not cover the commit record). One question at a time serves every read that waits.
 */
export class Floor {
  readonly #primary: pg.Pool;
  #writes = 0;
  #covered = -1;
  #lsn: Lsn = LSN_ZERO;
  #asking: { readonly writes: number; readonly answer: Promise<void> } | null = null;

  constructor(primary: pg.Pool) {
    this.#primary = primary;
  }

  /** Something may have been committed. */
  noteWrite(): void {
    this.#writes += 1;
  }

  /** A floor that covers every write noted until now. */
  async now(): Promise<Lsn> {
    const wanted = this.#writes;
    while (this.#covered < wanted) await this.#ask();
    return this.#lsn;
  }

  async #ask(): Promise<void> {
    const writes = this.#writes;
    this.#asking ??= {
      writes,
      answer: this.#primary
        .query<{ lsn: string }>(WRITTEN)
        .then(({ rows }) => {
          this.#lsn = parseLsn(rows[0]!.lsn);
          this.#covered = writes;
        })
        .finally(() => {
          this.#asking = null;
        }),
    };
    await this.#asking.answer;
  }
}
