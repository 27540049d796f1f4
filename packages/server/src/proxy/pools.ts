import { performance } from 'node:perf_hooks';
import type { PoolUse, RoutableServer, Topology } from '@understudy/core/routing';
import type { ProxyOptions } from './options.ts';
import type { PoolUser } from './pool-users.ts';
import { Pool, type ServerBudget, type ServerRole } from './pool.ts';
import type { ServerConnection } from './server-connection.ts';

/** One line of `SHOW understudy.pools`. */
export interface PoolReport {
  readonly server: string;
  readonly role: ServerRole;
  readonly user: string;
  readonly database: string;
  readonly connections: number;
  readonly idle: number;
  readonly waiting: number;
}

/** Connections that are opened ahead to a new primary for each pool that its predecessor had, and for how many pools: who comes next opens its own. */
const WARM_CONNECTIONS = 2;
const WARM_POOLS = 16;

/** The pools of all servers. */
export class Pools {
  readonly #options: ProxyOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #budgets = new Map<string, ServerBudget>();
  readonly #users = new WeakMap<Pool, PoolUser>();
  /** Who had a pool on a primary that is none any more: the next one is connected to for them before it is open. */
  readonly #heirs = new Map<string, PoolUser>();
  #reaper: NodeJS.Timeout;

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#reaper = this.#reapOften();
  }

  #reapOften(): NodeJS.Timeout {
    return setInterval(() => this.#reap(), Math.max(100, this.#options.serverIdleMs / 4)).unref();
  }

  /** The options have changed. */
  onOptions(): void {
    clearInterval(this.#reaper);
    this.#reaper = this.#reapOften();
    for (const pool of this.#pools.values()) pool.onOptions();
  }

  of(server: RoutableServer, role: ServerRole, term: number, user: PoolUser): Pool {
    const key = `${server.id} ${server.host} ${server.port} ${role} ${role === 'primary' ? term : 0} ${user.signature}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const { identity, database, fixed } = user;
      const made = { server, role, term, user: identity.user, database, fixed };
      pool = new Pool(made, identity.keys, this.#options, this.#budget(server));
      this.#pools.set(key, pool);
      this.#users.set(pool, user);
    }
    pool.noteKeys(user.identity.keys, user.provenAtMs);
    return pool;
  }

  #budget({ host, port }: RoutableServer): ServerBudget {
    const key = `${host} ${port}`;
    let budget = this.#budgets.get(key);
    if (budget === undefined) {
      budget = { used: 0, pools: new Set() };
      this.#budgets.set(key, budget);
    }
    return budget;
  }

  /** Pools of servers that are not what they were have no further use. */
  onTopology(topology: Topology): void {
    for (const [key, pool] of this.#pools) {
      const { server, role, term } = pool.key;
      const stays =
        role === 'primary'
          ? term >= topology.term
          : topology.replicas.some(r => r.id === server.id && r.host === server.host && r.port === server.port);
      if (stays) continue;
      this.#pools.delete(key);
      pool.close();
      const user = this.#users.get(pool);
      if (role === 'primary' && user !== undefined && this.#heirs.size < WARM_POOLS) this.#heirs.set(user.signature, user);
    }
    const { primary, term } = topology;
    const next = primary.kind === 'absent' ? primary.next : primary.server;
    if (next !== undefined) this.#warm(next, term);
  }

  /** A new connection takes a server longer than a write; a new primary can be connected to while it is promoted. */
  #warm(server: RoutableServer, term: number): void {
    for (const user of this.#heirs.values()) this.of(server, 'primary', term, user).warm(WARM_CONNECTIONS);
    this.#heirs.clear();
  }

  /** Takes back a connection of a session. */
  release(connection: ServerConnection): void {
    if (connection.pool === null) connection.destroy(new Error('the connection belongs to no pool'));
    else connection.pool.release(connection);
  }

  /** The definition of the database has changed: plans that free connections have made may not fit any more. */
  definitionChanged(database: string): void {
    for (const pool of this.#pools.values()) {
      if (pool.key.database !== database) continue;
      for (const connection of pool.idleConnections()) connection.prepared.retireAll();
    }
  }

  /**
   * PostgreSQL drops, renames or copies a database only when nobody is connected to it, and waits five seconds for those who are
   * (CountOtherDBBackends in procarray.c): connections that serve nobody must not be what it waits for.
   */
  closeIdle(): void {
    for (const pool of this.#pools.values()) pool.closeIdle(Number.POSITIVE_INFINITY);
  }

  /** What each pool has open, whoever it belongs to. */
  uses(): PoolUse[] {
    return this.report().map(({ server, role, connections, idle, waiting }) => ({ member: server, role, connections, idle, waiting }));
  }

  report(): PoolReport[] {
    return [...this.#pools.values()].map(pool => {
      const { server, role, user, database } = pool.key;
      return { server: server.id, role, user, database, connections: pool.size, idle: pool.idleCount, waiting: pool.waitingCount };
    });
  }

  stop(): void {
    clearInterval(this.#reaper);
    for (const pool of this.#pools.values()) pool.close();
    this.#pools.clear();
  }

  #reap(): void {
    const before = performance.now() - this.#options.serverIdleMs;
    for (const [key, pool] of this.#pools) {
      pool.closeIdle(before);
      if (!pool.unused) continue;
      this.#pools.delete(key);
      pool.close();
    }
  }
}
