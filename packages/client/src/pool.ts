import { type CachedStatement, SqlClassifier } from '@understudy/core/sql';
import pg from 'pg';
import { Floor } from './floor.ts';
import { sqlParser } from './parser.ts';
import { Replica } from './replica.ts';

/** How long a read waits for a replica that is fresh enough before the primary takes it. */
const DEFAULT_FRESH_WAIT_MS = 20;

export interface PoolConfig extends pg.PoolConfig {
  /** The replicas, as connection strings or as what differs from the primary's configuration. */
  readonly replicas?: readonly (string | pg.PoolConfig)[];
  /** Milliseconds, 0 to wait for nobody. */
  readonly freshWaitMs?: number;
}

/** Where a statement was sent, and why; the event `route` of a pool. */
export interface RouteInfo {
  readonly server: 'primary' | 'replica';
  /** Host and port of the replica; null for the primary. */
  readonly replica: string | null;
  readonly reason: 'read' | 'not-a-read' | 'no-fresh-replica' | 'replica-lost' | 'refused-by-replica' | 'no-replicas';
}

/** Errors after which a read is run on the primary: the replica is gone or going, or a recovery conflict cancelled it. */
const LOST = /^(?:08|57P|40001|40P01|EPIPE|ECONN|ETIMEDOUT|ENOTFOUND)/;
const READ_ONLY = '25006';

/**
 * A `pg.Pool` whose plain reads go to replicas and still see every write that was made through it. What `query` runs is classified by PostgreSQL's own
 * grammar; reads wait for a replica that has replayed all that was committed here before, or go to the primary. `connect` gives clients of
 * the primary, for transactions and session state, exactly as pg does.
 */
export class Pool extends pg.Pool {
  readonly #replicas: readonly Replica[];
  readonly #monitor: pg.Pool;
  readonly #floor: Floor;
  readonly #freshWaitMs: number;
  #classifier: SqlClassifier | null = null;

  constructor(config: PoolConfig = {}) {
    const { replicas = [], freshWaitMs = DEFAULT_FRESH_WAIT_MS, ...primary } = config;
    super(primary);
    this.#replicas = replicas.map(replica => {
      const own = typeof replica === 'string' ? { ...primary, connectionString: replica } : { ...primary, ...replica };
      return new Replica(own, nameOf(own));
    });
    this.#freshWaitMs = freshWaitMs;
    // A connection of its own: a question about the position is no write, and must not wait for a free client.
    this.#monitor = new pg.Pool({ ...primary, max: 1 });
    this.#monitor.on('error', () => undefined);
    this.#floor = new Floor(this.#monitor);
    this.on('release', () => this.#floor.noteWrite());
    this.query = this.#query as typeof this.query;
  }

  override async end(): Promise<void> {
    await Promise.all([super.end(), this.#monitor.end(), ...this.#replicas.map(({ pool }) => pool.end())]);
  }

  /** In place of pg's: same arguments, same results. Callbacks and queries that submit themselves (cursors, streams) go to the primary. */
  readonly #query = (...args: unknown[]): unknown => {
    const text = textOf(args[0]);
    if (text === null || typeof args.at(-1) === 'function') return this.#onPrimary(args, 'not-a-read');
    if (this.#replicas.length === 0) return this.#onPrimary(args, 'no-replicas');
    return this.#route(text, args);
  };

  async #route(text: string, args: unknown[]): Promise<unknown> {
    this.#classifier ??= new SqlClassifier({ parser: await sqlParser() });
    const statement = this.#classifier.classifyText(text);
    if (statement.unit.demand !== 'replica') return this.#onPrimary(args, 'not-a-read');
    const replica = await this.#freshReplica();
    if (!replica) return this.#onPrimary(args, 'no-fresh-replica');
    try {
      const result = await replica.run(pool => invoke(pool, args));
      this.#tell({ server: 'replica', replica: replica.name, reason: 'read' });
      return result;
    } catch (error) {
      return this.#secondTry(error, statement, args);
    }
  }

  /** The least busy of two drawn by lot, or the other one if it is too far behind or away. */
  async #freshReplica(): Promise<Replica | null> {
    // A client that somebody holds may commit at any moment without our being told.
    if (this.totalCount > this.idleCount) this.#floor.noteWrite();
    const drawn = this.#replicas.toSorted(() => Math.random() - 0.5).slice(0, 2);
    drawn.sort((a, b) => a.inFlight - b.inFlight);
    try {
      const floor = await this.#floor.now();
      for (const replica of drawn) {
        const isFresh = await replica.reaches(floor, this.#freshWaitMs).catch(() => false);
        if (isFresh) return replica;
      }
    } catch {
      // Without the primary nothing is known of what was written; the statement itself will say what is wrong.
    }
    return null;
  }

  /** A read had no effect: it may be run again where its replica could not answer. */
  #secondTry(error: unknown, statement: CachedStatement, args: unknown[]): unknown {
    const { code = '', message } = error as { code?: string; message: string };
    if (code === READ_ONLY) {
      this.#classifier?.learnRefusedReadOnly(statement);
      return this.#onPrimary(args, 'refused-by-replica');
    }
    if (LOST.test(code) || message.startsWith('Connection terminated')) return this.#onPrimary(args, 'replica-lost');
    throw error;
  }

  #onPrimary(args: unknown[], reason: RouteInfo['reason']): unknown {
    this.#tell({ server: 'primary', replica: null, reason });
    return Reflect.apply(pg.Pool.prototype.query, this, args);
  }

  #tell(info: RouteInfo): void {
    (this as unknown as { emit(event: 'route', info: RouteInfo): boolean }).emit('route', info);
  }
}

function invoke(pool: pg.Pool, args: unknown[]): Promise<unknown> {
  return Reflect.apply(pool.query, pool, args) as Promise<unknown>;
}

/** The text of what may be classified; null for anything that does more than run one text. */
function textOf(query: unknown): string | null {
  if (typeof query === 'string') return query;
  const { text, submit } = (query ?? {}) as { text?: unknown; submit?: unknown };
  return typeof text === 'string' && typeof submit !== 'function' ? text : null;
}

function nameOf(config: pg.PoolConfig): string {
  const client = new pg.Client(config);
  return `${client.host}:${client.port}`;
}
