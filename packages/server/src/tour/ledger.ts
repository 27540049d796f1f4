import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { SCHEMA } from './blog.ts';
import { withClient } from './connections.ts';

const RECONNECT_MS = 20;

export interface LedgerResult {
  readonly acknowledged: number;
  /** Acknowledged, and not there. */
  readonly lost: number;
  /** Statements that ended with an error: their outcome is unknown to the client, so they count neither way. */
  readonly errors: number;
  /** The longest time between two acknowledged writes. */
  readonly longestGapMs: number;
  /** Connections that broke. */
  readonly reconnects: number;
}

/** A client that writes numbered rows as fast as they are acknowledged, and remembers which were. */
export class Ledger {
  readonly #url: string;
  readonly #run = randomUUID();
  readonly #acknowledged: number[] = [];
  readonly #done: Promise<void>;
  #stopped = false;
  #next = 1;
  #errors = 0;
  #reconnects = 0;
  #lastAckMs = performance.now();
  #longestGapMs = 0;

  constructor(url: string) {
    this.#url = url;
    this.#done = this.#work();
  }

  get acknowledged(): number {
    return this.#acknowledged.length;
  }

  /** Ends the writing and looks which rows are there. */
  async finish(): Promise<LedgerResult> {
    this.#stopped = true;
    await this.#done;
    const there = await withClient(this.#url, client =>
      client.query<{ n: number }>(`/* understudy:primary */ select n from ${SCHEMA}.ledger where run = $1`, [this.#run]),
    );
    const found = new Set(there.rows.map(row => row.n));
    return {
      acknowledged: this.#acknowledged.length,
      lost: this.#acknowledged.filter(n => !found.has(n)).length,
      errors: this.#errors,
      longestGapMs: Math.round(this.#longestGapMs),
      reconnects: this.#reconnects,
    };
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      await withClient(this.#url, async client => {
        while (!this.#stopped) await this.#write(client);
      }).catch(() => (this.#reconnects += 1));
      if (!this.#stopped) await pause(RECONNECT_MS);
    }
  }

  async #write(client: pg.Client): Promise<void> {
    const n = this.#next++;
    try {
      await client.query(`insert into ${SCHEMA}.ledger values ($1, $2)`, [this.#run, n]);
    } catch (error) {
      this.#errors += 1;
      if (!(error instanceof pg.DatabaseError)) throw error;
      return;
    }
    const now = performance.now();
    if (this.#acknowledged.length > 0) this.#longestGapMs = Math.max(this.#longestGapMs, now - this.#lastAckMs);
    this.#lastAckMs = now;
    this.#acknowledged.push(n);
  }
}
