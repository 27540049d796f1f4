import { type Lsn, LSN_ZERO, maxLsn, parseLsn } from '@understudy/core/cluster';
import pg from 'pg';

const REPLAYED = 'SELECT pg_catalog.pg_last_wal_replay_lsn() AS lsn';

/** One replica: a pool of connections, and how far it is known to have replayed. */
export class Replica {
  readonly pool: pg.Pool;
  readonly name: string;
  #replayed: Lsn = LSN_ZERO;
  #asking: Promise<void> | null = null;
  #inFlight = 0;

  constructor(config: pg.PoolConfig, name: string) {
    this.pool = new pg.Pool(config);
    this.name = name;
    // An idle connection that breaks is replaced by the pool; the next read tells whether the server is back.
    this.pool.on('error', () => {
      this.#replayed = LSN_ZERO;
    });
  }

  /** Reads under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether it has replayed the floor, asking it again until `limitMs` have passed. Rejects when it cannot be reached. */
  async reaches(floor: Lsn, limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs;
    while (this.#replayed < floor) {
      await this.#ask();
      if (this.#replayed >= floor) return true;
      if (performance.now() >= end) return false;
      await new Promise(resolve => setTimeout(resolve, 1));
    }
    return true;
  }

  async run<T>(use: (pool: pg.Pool) => Promise<T>): Promise<T> {
    this.#inFlight += 1;
    try {
      return await use(this.pool);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** One question at a time serves all who wait. A server that is no standby (any more) has no replay position, and is no replica. */
  async #ask(): Promise<void> {
    this.#asking ??= this.pool
      .query<{ lsn: string | null }>(REPLAYED)
      .then(({ rows }) => {
        const lsn = rows[0]?.lsn;
        if (lsn == null) throw new Error(`${this.name} is not a replica`);
        this.#replayed = maxLsn(this.#replayed, parseLsn(lsn));
      })
      .finally(() => {
        this.#asking = null;
      });
    await this.#asking;
  }
}
