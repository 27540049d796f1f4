import { performance } from 'node:perf_hooks';
import type { RoutableServer } from '@understudy/core/routing';
import type { ClientKeys } from '@understudy/wire';
import { Deque } from './deque.ts';
import { queueFull, queueTimedOut } from './errors.ts';
import type { ProxyOptions } from './options.ts';
import { type ConnectionHome, ServerConnection } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';
import type { SettingsSet } from './settings-set.ts';

export type ServerRole = 'primary' | 'replica';

/** Whose connections a pool holds: backends of one server that differ in nothing that SET could not change. */
export interface PoolKey {
  readonly server: RoutableServer;
  readonly role: ServerRole;
  readonly term: number;
  readonly user: string;
  readonly database: string;
  /** Startup parameters beyond user and database. */
  readonly fixed: ReadonlyMap<string, string>;
}

/** The topology has changed: look again where the work should go. */
export class Superseded extends Error {
  override readonly name = 'Superseded';
}

/** A place in the queue for a connection. */
export interface Acquisition {
  readonly connection: Promise<ServerConnection>;
  /** Gives the place up. A connection that is on its way goes back to the pool. */
  readonly cancel: () => void;
}

/**
 * How a connection reaches its server. A socket costs both ends less, but a statement on it finds no address: inet_server_port() and the like are null there,
 * so only lanes are given one.
 */
export type Reach = 'address' | 'socket';

interface Waiter {
  readonly reach: Reach;
  readonly resolve: (connection: ServerConnection) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly sinceMs: number;
  done: boolean;
}

/** The backends of one server that all its pools together may have. */
export interface ServerBudget {
  used: number;
  readonly pools: Set<Pool>;
}

/**
 * Connections that are opened at the same time: each costs the server a process, and what a crowd waits for is soon answered by the first few. Who needs
 * all of them gets them as quickly as the server makes them.
 */
const MAX_OPENING = 4;
/** Who waits longer than this for a connection gets one that is a lane, where lanes are more than one connection in so many. */
const LANE_PATIENCE_MS = 250;
const FEW_LANES = 8;
/** After a server said that it has too many connections, it is not asked for more for this long. */
const REFUSED_PAUSE_MS = 500;
const TOO_MANY_CONNECTIONS = '53300';

/** Connections of one user to one database on one server, shared by sessions between their units of work. First come, first served. */
export class Pool implements ConnectionHome {
  readonly key: PoolKey;
  #keys: ClientKeys;
  #keysProvenAtMs = Number.NEGATIVE_INFINITY;
  readonly #options: ProxyOptions;
  readonly #budget: ServerBudget;
  /** Free connections; the last one was used last. */
  readonly #idle: ServerConnection[] = [];
  readonly #waiting = new Deque<Waiter>();
  readonly #opening = new Set<AbortController>();
  #size = 0;
  #closed = false;
  /** Closing a connection calls back in here. */
  #serving = false;
  #refusedUntilMs = 0;
  #lanes = 0;

  constructor(key: PoolKey, keys: ClientKeys, options: ProxyOptions, budget: ServerBudget) {
    this.key = key;
    this.#keys = keys;
    this.#options = options;
    this.#budget = budget;
    budget.pools.add(this);
  }

  /** Passwords change: the key of the last login is the one to connect with. */
  noteKeys(keys: ClientKeys, provenAtMs: number): void {
    if (provenAtMs < this.#keysProvenAtMs) return;
    this.#keys = keys;
    this.#keysProvenAtMs = provenAtMs;
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.#size;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** Connections on loan. */
  get busyCount(): number {
    return this.#size - this.#idle.length - this.#opening.size;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /**
   * A few who wait are served by the other connections in a moment; the reads of the many go on in the lanes meanwhile, or all would come here. Not so where
   * lanes are most of what there is, or somebody has waited long and they are more than a few.
   */
  get lanesMustYield(): boolean {
    const first = this.#waiting.peek();
    if (first === undefined) return false;
    if (this.#lanes * 2 > this.#size) return true;
    return this.#lanes * FEW_LANES > this.#size && performance.now() - first.sinceMs > LANE_PATIENCE_MS;
  }

  noteLanes(change: 1 | -1): void {
    this.#lanes += change;
  }

  /** Clients wait here, or in another pool for room on this server. */
  get isShort(): boolean {
    if (this.#waiting.size > 0) return true;
    if (this.#budget.used < this.#options.maxServerConnections) return false;
    for (const pool of this.#budget.pools) if (pool.waitingCount > 0) return true;
    return false;
  }

  get unused(): boolean {
    return this.#size === 0 && this.#waiting.size === 0;
  }

  /**
   * True when a connection can be had for a lane without keeping those who need one of their own from it. Where many wait already, a few lanes are what
   * makes the queue shorter: they take their turn in it.
   */
  get canSpare(): boolean {
    if (this.#waiting.size > 0) return (this.#lanes + 1) * FEW_LANES <= this.#size;
    return this.#idle.length > 0 || this.#size < this.#options.poolSize / 2;
  }

  /** A free connection at once, best one with these settings; null: it takes a wait. */
  take(settings: SettingsSet): ServerConnection | null {
    if (this.#waiting.size > 0) return null;
    return this.#pop('address', settings) ?? this.#pop('address', null);
  }

  /** A free connection, used last of all that fit. */
  #pop(reach: Reach, settings: SettingsSet | null): ServerConnection | null {
    const fits = (connection: ServerConnection): boolean =>
      (connection.address.socket === undefined || reach === 'socket') && (settings === null || connection.applied === settings);
    const at = this.#idle.findLastIndex(fits);
    return at < 0 ? null : (this.#idle.splice(at, 1)[0] ?? null);
  }

  /** A place in the queue. Rejects with ProxyFailure (full, too long), LoginRefused, Superseded or what went wrong while connecting. */
  acquire(reach: Reach = 'address'): Acquisition {
    if (this.#closed) return { connection: Promise.reject(new Superseded()), cancel: () => undefined };
    if (this.#waiting.size >= this.#options.maxWaiting) return { connection: Promise.reject(queueFull()), cancel: () => undefined };
    let waiter: Waiter | null = null;
    const connection = new Promise<ServerConnection>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#giveUp(made, queueTimedOut(this.#options.queueTimeoutMs, this.#size)),
        this.#options.queueTimeoutMs,
      );
      const made: Waiter = { reach, resolve, reject, timer, sinceMs: performance.now(), done: false };
      waiter = made;
      this.#waiting.push(made);
    });
    this.serve();
    return {
      connection,
      cancel: () => {
        if (waiter !== null) this.#giveUp(waiter, new Superseded());
      },
    };
  }

  /** Connects ahead of those who will ask. */
  warm(count: number): void {
    for (let i = 0; i < count; i++) {
      this.acquire().connection.then(
        connection => this.release(connection),
        () => undefined,
      );
    }
  }

  /** Takes a connection back. Whatever is not clean is closed. */
  release(connection: ServerConnection): void {
    connection.owner = this;
    if (connection.lost) return;
    if (connection.cancelling > 0) {
      // A cancel that is on its way must not meet the next client's statement.
      connection.onQuiet = () => this.release(connection);
      return;
    }
    // What a user's code may have left on a replica is not looked for: such code runs there only when a client insists.
    const unclean = !connection.idle || (connection.role === 'replica' && connection.tainted);
    if (this.#closed || unclean || this.#size > this.#options.poolSize) {
      connection.destroy(new Error('the connection cannot be used again'));
      return;
    }
    connection.socket.resume();
    connection.idleSinceMs = performance.now();
    this.#idle.push(connection);
    this.serve();
  }

  /** Gives free connections and room for new ones to those who wait. */
  serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    while (this.#serveFirst());
    this.#serving = false;
  }

  /** True: look at the next. */
  #serveFirst(): boolean {
    const waiter = this.#waiting.peek();
    if (waiter === undefined) return false;
    if (waiter.done) {
      this.#waiting.shift();
      return true;
    }
    const free = this.#bestFor(waiter.reach);
    if (free === null && (this.#opening.size >= MAX_OPENING || !(this.#hasRoom() || this.#makeRoom()))) return false;
    this.#waiting.shift();
    if (free === null) void this.#open(waiter);
    else this.#hand(free, waiter);
    return true;
  }

  /** A lane gets a connection of the other kind only where there could be none of its own. */
  #bestFor(reach: Reach): ServerConnection | null {
    if (reach === 'address' || this.key.server.socket === undefined) return this.#pop(reach, null);
    const at = this.#idle.findLastIndex(({ address }) => address.socket !== undefined);
    return at < 0 ? null : (this.#idle.splice(at, 1)[0] ?? null);
  }

  /** What is free here is of the kind that nobody waits for. */
  #makeRoom(): boolean {
    return !this.#closed && performance.now() >= this.#refusedUntilMs && this.evictIdle() && this.#hasRoom();
  }

  /** The options have changed: there may be room for more, or too many. */
  onOptions(): void {
    for (let surplus = this.#size - this.#options.poolSize; surplus > 0 && this.#idle.length > 0; surplus--) this.#idle.shift()?.end();
    this.serve();
  }

  /** Closes connections that nobody has used since then. */
  closeIdle(beforeMs: number): void {
    while (this.#idle.length > 0 && (this.#idle[0] as ServerConnection).idleSinceMs < beforeMs) this.#idle.shift()?.end();
  }

  /** Makes room on the server for another pool. False: there is no free connection here. */
  evictIdle(): boolean {
    const oldest = this.#idle.shift();
    oldest?.end();
    return oldest !== undefined;
  }

  /** The server is no longer what it was: nobody gets a connection any more. */
  close(): void {
    this.#closed = true;
    for (const abort of this.#opening) abort.abort();
    for (const connection of this.#idle.splice(0)) connection.end();
    for (const waiter of this.#waiting.clear()) this.#giveUp(waiter, new Superseded());
    this.#budget.pools.delete(this);
  }

  /** Free connections forget what they have prepared: definitions have changed. */
  *idleConnections(): IterableIterator<ServerConnection> {
    yield* this.#idle;
  }

  #hand(connection: ServerConnection, waiter: Waiter): void {
    waiter.done = true;
    clearTimeout(waiter.timer);
    connection.owner = null;
    waiter.resolve(connection);
  }

  #giveUp(waiter: Waiter, why: Error): void {
    if (waiter.done) return;
    waiter.done = true;
    clearTimeout(waiter.timer);
    waiter.reject(why);
  }

  #hasRoom(): boolean {
    if (this.#closed || this.#size >= this.#options.poolSize || performance.now() < this.#refusedUntilMs) return false;
    if (this.#budget.used < this.#options.maxServerConnections) return true;
    for (const other of this.#budget.pools) if (other !== this && other.waitingCount === 0 && other.evictIdle()) return true;
    return false;
  }

  async #open(waiter: Waiter): Promise<void> {
    const { server, role, term, user, database, fixed } = this.key;
    const address = waiter.reach === 'socket' ? server : { host: server.host, port: server.port };
    const abort = new AbortController();
    this.#opening.add(abort);
    this.#count(1);
    try {
      const connection = await ServerConnection.open({
        address,
        member: server.id,
        role,
        term,
        parameters: new Map([['user', user], ['database', database], ...fixed]),
        credential: { kind: 'keys', keys: this.#keys },
        tls: this.#options.serverTls,
        timeoutMs: this.#options.connectTimeoutMs,
        signal: abort.signal,
      });
      if (connection.lost) throw new Error('the connection was lost right after the login');
      connection.pool = this;
      connection.onClosed = () => this.#forget(connection);
      if (waiter.done || this.#closed) this.release(connection);
      else this.#hand(connection, waiter);
    } catch (error) {
      this.#count(-1);
      this.#refused(waiter, error as Error);
    } finally {
      this.#opening.delete(abort);
      this.serve();
    }
  }

  /** One failed login is the answer to one who waits, unless the server is only full: then its turn will come. */
  #refused(waiter: Waiter, error: Error): void {
    const full = error instanceof LoginRefused && error.fields.code === TOO_MANY_CONNECTIONS && this.#size > 0;
    if (this.#closed) this.#giveUp(waiter, new Superseded());
    else if (full) {
      this.#refusedUntilMs = performance.now() + REFUSED_PAUSE_MS;
      setTimeout(() => this.serve(), REFUSED_PAUSE_MS).unref();
      this.#waiting.unshiftAll([waiter]);
    } else this.#giveUp(waiter, error);
    this.serve();
  }

  #forget(connection: ServerConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#count(-1);
    // Whoever waits for room on this server, here or in another pool.
    for (const pool of this.#budget.pools) pool.serve();
  }

  #count(change: 1 | -1): void {
    this.#size += change;
    this.#budget.used += change;
  }

  // ---- what a free connection says: nobody is there to hear it

  onAnswer(from: ServerConnection): void {
    from.destroy(new Error('an answer that nobody waits for'));
  }
  onAside(): void {}
  onChunkEnd(): void {}
  onDrain(): void {}
  onLost(): void {}
}
