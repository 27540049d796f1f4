import { performance } from 'node:perf_hooks';
import { type Address, addressName, type RoutableServer, type Topology } from '@understudy/core/routing';
import { type CachedStatement, DatabaseFunctions, SqlClassifier } from '@understudy/core/sql';
import { connectionConfig, type RouterConfig } from '../config.ts';
import { sqlParser } from '../parser.ts';
import { Lanes } from '../lanes/lanes.ts';
import type { ServerConnection } from '../servers/connection.ts';
import { Monitor } from '../servers/monitor.ts';
import { ServerPool } from '../servers/server-pool.ts';
import { AskedTopology } from '../topology/asked.ts';
import { ClusterFeed } from '../topology/feed.ts';
import { PatroniFeed } from '../topology/patroni.ts';
import type { TopologySource } from '../topology/source.ts';
import { Freshness } from './freshness.ts';
import { RouteCounters } from './route.ts';

/** Texts whose class is kept by the whole text, before any fingerprint is made. */
const MAX_TEXTS = 2_000;
const ASK_FUNCTIONS_INTERVAL_MS = 2_000;

/**
 * What all clients of one cluster, database and role share in this process: where the servers are, what they have replayed, what was committed, what
 * statements do, and the connections that nobody uses.
 */
export class Router {
  readonly config: RouterConfig;
  readonly freshness: Freshness;
  readonly counters: RouteCounters = new RouteCounters();
  readonly lanes: Lanes;
  readonly #source: TopologySource;
  readonly #asked: AskedTopology | null;
  readonly #monitors: Map<string, Monitor> = new Map();
  readonly #pools: Map<string, ServerPool> = new Map();
  readonly #held: Set<() => void> = new Set();
  readonly #functions: DatabaseFunctions = new DatabaseFunctions();
  readonly #texts: Map<string, CachedStatement> = new Map();
  #classifier: SqlClassifier | null = null;
  #starting: Promise<void> | null = null;
  #loggedIn: Promise<void> | null = null;
  #parameters: ReadonlyMap<string, string> = new Map();
  #functionsAskedAtMs = Number.NEGATIVE_INFINITY;
  #functionsTimer: NodeJS.Timeout | null = null;
  #topology: Topology;
  #stopped = false;

  constructor(config: RouterConfig) {
    this.config = config;
    this.lanes = new Lanes(server => this.poolOf(server), config.idleTimeoutMs);
    const { source } = config;
    const asked = source.kind === 'understudy' ? null : new AskedTopology(source.kind === 'patroni' ? [] : source.addresses, this.#askAll);
    this.#asked = asked;
    if (source.kind === 'understudy') this.#source = new ClusterFeed(source.apis, source.transport);
    else if (source.kind === 'patroni' && asked) this.#source = new PatroniFeed(source.apis, asked, addresses => this.#watch(addresses));
    else this.#source = asked as AskedTopology;
    this.#topology = this.#source.current();
    this.freshness = new Freshness(config, this.#topology, (id, answer) => this.#asked?.report(id, answer));
    if (source.kind === 'ask-servers') this.#watch(source.addresses);
    this.#source.subscribe(topology => this.#follow(topology));
  }

  get topology(): Topology {
    return this.#topology;
  }

  get held(): number {
    return this.#held.size;
  }

  /** Settings that a server told at the beginning of a session; empty before the first. */
  get parameters(): ReadonlyMap<string, string> {
    return this.#parameters;
  }

  /** Resolves when statements can be routed. Never rejects for want of servers: those who need one wait for it by themselves. */
  start(): Promise<void> {
    this.#starting ??= Promise.all([
      sqlParser().then(parser => {
        const { allow, deny } = this.config;
        const overrides = { allow: new Set(allow), deny: new Set(deny) };
        this.#classifier = new SqlClassifier({ parser, facts: this.#functions, overrides });
      }),
      this.#source.start(),
    ]).then(async () => {
      this.freshness.start();
      await this.freshness.askAll();
    });
    return this.#starting;
  }

  /** A login with these credentials has worked, so that a new client need not prove it. Rejects as pg does when it does not. */
  logIn(): Promise<void> {
    this.#loggedIn ??= this.#logIn().catch(error => {
      this.#loggedIn = null;
      throw error;
    });
    return this.#loggedIn;
  }

  async #logIn(): Promise<void> {
    await this.start();
    const deadline = performance.now() + this.config.holdTimeoutMs;
    for (;;) {
      const { primary, replicas } = this.#topology;
      // Whoever is there: a login is the same everywhere.
      const server = primary.kind === 'open' ? primary.server : replicas[0];
      const address = server ?? this.#knownAddress();
      try {
        const pool = server === undefined ? this.#poolAt('', address as Address) : this.poolOf(server);
        const connection = await pool.open(this.#topology.term);
        this.#parameters = connection.parameters;
        if (server === undefined) pool.drop(connection);
        else pool.giveBack(connection);
        return;
      } catch (error) {
        this.suspect();
        if (!isUnreachable(error) || this.#topology.term === 0 || performance.now() >= deadline || this.#stopped) throw error;
        await this.nextTopology(RETRY_MS);
      }
    }
  }

  #knownAddress(): Address {
    const { source } = this.config;
    if (source.kind === 'ask-servers' && source.addresses[0] !== undefined) return source.addresses[0];
    throw new Error('no server of the cluster is known yet');
  }

  // ---- statements

  classify(text: string): CachedStatement {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#classifier === null) throw new Error('the router has not been started');
    const statement = this.#classifier.classifyText(text);
    if (statement.unit.unknownFunctions.length > 0) this.#askFunctionsSoon();
    else {
      if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
      this.#texts.set(text, statement);
    }
    return statement;
  }

  learnRefused(statement: CachedStatement): void {
    this.#classifier?.learnRefusedReadOnly(statement);
  }

  /** The definition of the database has changed, and with it perhaps its functions. */
  definitionChanged(): void {
    if (Number.isFinite(this.#functionsAskedAtMs)) this.#askFunctionsSoon();
    this.#texts.clear();
  }

  #askFunctionsSoon(): void {
    if (this.#functionsTimer !== null || this.#stopped) return;
    const waitMs = Math.max(0, this.#functionsAskedAtMs + ASK_FUNCTIONS_INTERVAL_MS - performance.now());
    this.#functionsTimer = setTimeout(() => {
      this.#functionsTimer = null;
      this.#functionsAskedAtMs = performance.now();
      // A database that cannot be asked leaves its functions unknown, and so on the primary.
      void this.#askFunctions().catch(() => undefined);
    }, waitMs).unref();
  }

  async #askFunctions(): Promise<void> {
    const { primary, replicas } = this.#topology;
    const server = primary.kind === 'absent' ? replicas[0] : primary.server;
    const monitor = server === undefined ? undefined : this.#monitors.get(server.id);
    if (monitor === undefined) return;
    this.#functions.replace(await monitor.functions());
    this.#classifier?.functionsChanged();
    this.#texts.clear();
  }

  // ---- servers

  poolOf(server: RoutableServer): ServerPool {
    return this.#poolAt(server.id, server);
  }

  #poolAt(id: string, address: Address): ServerPool {
    let pool = this.#pools.get(id);
    if (pool === undefined) {
      pool = new ServerPool(id, connectionConfig(this.config.base, address), this.config.idleTimeoutMs);
      this.#pools.set(id, pool);
    }
    return pool;
  }

  giveBack(connection: ServerConnection): void {
    const pool = this.#pools.get(connection.server);
    if (pool === undefined) connection.end();
    else pool.giveBack(connection);
  }

  drop(connection: ServerConnection): void {
    this.#pools.get(connection.server)?.drop(connection);
  }

  /** The server has ended a connection in use. */
  lost(connection: ServerConnection): void {
    const pool = this.#pools.get(connection.server);
    pool?.drop(connection);
    pool?.distrust();
    this.suspect();
  }

  /** The topology may have changed: look again. */
  suspect(): void {
    this.#source.suspect();
  }

  /** Room for one more statement that waits. */
  get hasRoom(): boolean {
    return this.#held.size < this.config.maxHeld;
  }

  /** Waits for the next topology, or until the time is up. */
  nextTopology(timeoutMs: number): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer);
        this.#held.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#held.add(done);
    });
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#source.stop();
    this.freshness.stop();
    if (this.#functionsTimer !== null) clearTimeout(this.#functionsTimer);
    for (const done of this.#held) done();
    await this.lanes.stop();
    await Promise.all([...[...this.#pools.values()].map(pool => pool.end()), ...[...this.#monitors.values()].map(m => m.end())]);
  }

  readonly #askAll = (): Promise<void> => this.freshness.askAll();

  #follow(topology: Topology): void {
    const before = this.#topology;
    this.#topology = topology;
    if (this.config.source.kind === 'understudy') {
      const { primary } = topology;
      this.#watch(primary.kind === 'absent' ? topology.replicas : [primary.server, ...topology.replicas]);
    }
    // A connection to a primary of an older term carries nothing more; one to a replica that went on following does.
    const old = before.primary.kind === 'absent' ? (before.primary.last ?? null) : before.primary.server;
    if (topology.term > before.term && old !== null) this.#pools.get(old.id)?.cut(topology.term);
    this.freshness.follow(topology, before.term === 0 ? 'warm' : 'slow');
    for (const done of this.#held) done();
  }

  #watch(addresses: readonly (Address & { readonly id?: string })[]): void {
    const wanted = new Map(addresses.map(address => [address.id ?? addressName(address), address]));
    for (const [id, monitor] of this.#monitors) {
      const address = wanted.get(id);
      if (address?.host === monitor.address.host && address.port === monitor.address.port) continue;
      void monitor.end();
      this.#monitors.delete(id);
      // The id has another address now, or is gone: so are its connections.
      void this.#pools.get(id)?.end();
      this.#pools.delete(id);
    }
    for (const [id, address] of wanted) {
      if (!this.#monitors.has(id)) this.#monitors.set(id, new Monitor(this.config.base, address, () => this.suspect()));
    }
    this.freshness.watch(this.#monitors);
  }
}

const RETRY_MS = 100;

/** The server could not be reached, or does not take sessions at the moment: not an answer about the login. */
export function isUnreachable(error: unknown): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (/^(?:E[A-Z]+|57P0\d|08\w{3}|53300)$/.test(code)) return true;
  return /^(?:Connection terminated|timeout|the pool was ended)/.test(message);
}
