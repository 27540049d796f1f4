import { performance } from 'node:perf_hooks';
import { ASK_IDENTITY, type Position, type RoutableServer } from '@understudy/core/routing';
import { formatLsn, type Lsn, parseLsn } from '@understudy/core/cluster';
import type { ProxyOptions } from './options.ts';
import { openAsRouter } from './router-connection.ts';
import { type ServerConnection, StatementRefused } from './server-connection.ts';

const PROBE_PRIMARY =
  "SELECT l, ('x' || substr(pg_catalog.pg_walfile_name(l), 1, 8))::bit(32)::int FROM pg_catalog.pg_current_wal_insert_lsn() AS l";
const POLL_REPLICA =
  "SELECT pg_catalog.pg_last_wal_replay_lsn(), pg_catalog.pg_is_in_recovery() AND pg_catalog.pg_get_wal_replay_pause_state() <> 'not paused'";
/** First release with WAIT FOR LSN. */
const WAIT_FOR_LSN_VERSION = 19;
const RECONNECT_MS = 200;

/** What a replica says of its replay. */
export interface Replay {
  readonly lsn: Lsn;
  readonly paused: boolean;
}

/** One connection of the router role to one server, for positions; reconnects by itself, when asked. */
export class Monitor {
  readonly server: RoutableServer;
  readonly #options: ProxyOptions;
  #connection: ServerConnection | null = null;
  #opening: Promise<ServerConnection> | null = null;
  #closedForMs = Number.NEGATIVE_INFINITY;
  #ended = false;

  constructor(server: RoutableServer, options: ProxyOptions) {
    this.server = server;
    this.#options = options;
  }

  /** The primary's insert position. Rejects when the server is no primary or does not answer in time. */
  async probePrimary(): Promise<Position> {
    const [row] = await this.#ask(PROBE_PRIMARY);
    if (!row) throw new Error('no position');
    return { lsn: parseLsn(String(row[0])), timeline: Number(row[1]) };
  }

  /** How far the replica has replayed, and whether an operator has paused it. Null: it is no replica. */
  async replay(): Promise<Replay | null> {
    const [row] = await this.#ask(POLL_REPLICA);
    const text = row?.[0];
    return text === null || text === undefined ? null : { lsn: parseLsn(text), paused: row?.[1] === 't' };
  }

  /**
   * From PostgreSQL 19 on the replica itself waits until it has replayed so far, at most so long, which spares polling. Timelines are not looked at by it,
   * so what it says is not believed: ask {@link replay} afterwards. False: this release cannot, or the connection is not open yet.
   */
  async waitForReplay(lsn: Lsn, timeoutMs: number): Promise<boolean> {
    const version = Number.parseInt(this.#connection?.parameters.get('server_version') ?? '0', 10);
    if (version < WAIT_FOR_LSN_VERSION) return false;
    await this.#ask(`WAIT FOR LSN '${formatLsn(lsn)}' WITH (TIMEOUT '${Math.ceil(timeoutMs)}ms', NO_THROW)`);
    return true;
  }

  /** The cluster's identity, the same on all its servers. Null where the role may not ask: tokens are not bound to the cluster then. */
  async systemIdentifier(): Promise<string | null> {
    try {
      return (await this.#ask(ASK_IDENTITY))[0]?.[0] ?? null;
    } catch (error) {
      if (error instanceof StatementRefused) return null;
      throw error;
    }
  }

  end(): void {
    this.#ended = true;
    this.#connection?.end();
    this.#connection = null;
  }

  /** A server that hangs must not hang the probe: the connection is given up after the connect timeout. */
  async #ask(sql: string): Promise<(string | null)[][]> {
    const connection = this.#connection ?? (await this.#open());
    const timer = setTimeout(() => connection.destroy(new Error('the server did not answer in time')), this.#options.connectTimeoutMs);
    try {
      return await connection.ask(sql);
    } finally {
      clearTimeout(timer);
    }
  }

  #open(): Promise<ServerConnection> {
    if (this.#ended) return Promise.reject(new Error('the monitor has ended'));
    if (performance.now() - this.#closedForMs < RECONNECT_MS) return Promise.reject(new Error('the server was unreachable a moment ago'));
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  async #connect(): Promise<ServerConnection> {
    try {
      const connection = await openAsRouter(this.server, this.#options, { member: this.server.id });
      connection.socket.once('close', () => {
        if (this.#connection === connection) this.#connection = null;
        this.#closedForMs = performance.now();
      });
      if (this.#ended) connection.end();
      else this.#connection = connection;
      return connection;
    } catch (error) {
      this.#closedForMs = performance.now();
      throw error;
    }
  }
}
