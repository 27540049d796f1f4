import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { addPools, observed, type RoutableServer } from '@understudy/core/routing';
import { backend } from '@understudy/wire';
import type { ServerFacts, TableSources } from './admin-tables.ts';
import { type Admitted, Door } from './admission.ts';
import { ClientTls } from './client-tls.ts';
import { type Client, Clients } from './clients.ts';
import { Databases } from './databases.ts';
import { noServer, ProxyFailure, shuttingDown } from './errors.ts';
import { Freshness } from './freshness.ts';
import { Greetings } from './greetings.ts';
import { ClusterWatch } from './hold.ts';
import { Lanes } from './lanes.ts';
import type { ProxyOptions } from './options.ts';
import { TimeLimits } from './limits.ts';
import { joinToPrimary } from './passthrough.ts';
import { PoolUsers } from './pool-users.ts';
import { Pools } from './pools.ts';
import type { ProxyEvent, ProxyStats, TopologySource } from './ports.ts';
import { Secrets } from './secrets.ts';
import { LoginRefused } from './server-login.ts';
import { type ServerAddress, StatementRefused } from './server-connection.ts';
import { Session } from './session.ts';
import { SharedCommits } from './shared-commits.ts';
import type { SessionContext } from './session-context.ts';
import { sqlParser } from './sql-parser.ts';
import { startupSettings } from './startup-settings.ts';
import { StatementWatch } from './statement-watch.ts';
import { StatsCounter } from './stats.ts';
import { Tables } from './tables.ts';
import { Desk } from './workers/desk.ts';
import { onlyPlace, type Place } from './workers/place.ts';

const DRAIN_POLL_MS = 20;
/** The start does not wait longer than this for servers that do not answer. */
const FIRST_POSITIONS_MS = 500;

/** The wire-protocol door: accepts clients on one port and serves each from the primary and the replicas. */
export class ProxyServer {
  /** Read by all parts whenever they need it, and changed in place by {@link reload}. */
  readonly #options: ProxyOptions;
  readonly #source: TopologySource;
  readonly #onEvent: (event: ProxyEvent) => void;
  readonly #stats: StatsCounter = new StatsCounter();
  /** For whoever looks at what is routed. */
  readonly statements: StatementWatch = new StatementWatch();
  readonly #place: Place;
  readonly #clients: Clients;
  readonly #users = new PoolUsers();
  readonly #sockets = new Set<Socket>();
  #running: {
    server: Server;
    watch: ClusterWatch;
    freshness: Freshness;
    secrets: Secrets;
    context: SessionContext;
    door: Door;
    limits: TimeLimits;
  } | null = null;

  constructor(
    options: ProxyOptions,
    source: TopologySource,
    onEvent: (event: ProxyEvent) => void = () => undefined,
    place: Place = onlyPlace(),
  ) {
    this.#options = { ...options };
    this.#source = source;
    this.#onEvent = onEvent;
    this.#place = place;
    this.#clients = new Clients(place);
  }

  /** Listens; resolves with the address in use. Rejects when the port is taken or the certificate is not usable. */
  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const parser = await sqlParser();
    const freshness = new Freshness(this.#options, this.#source.current(), new SharedCommits(this.#place.commits));
    this.#source.onSourcePosition?.((lsn, atMs) => freshness.lag.sample(lsn, atMs));
    const watch = new ClusterWatch(this.#source, this.#options, () => this.#onTopology(), this.#onEvent);
    const secrets = new Secrets(this.#options, () => this.#addresses(watch));
    const pools = new Pools(this.#options);
    const context: SessionContext = {
      options: this.#options,
      watch,
      freshness,
      stats: this.#stats,
      statements: this.statements,
      tables: new Tables(this.#sources(watch, pools, freshness), this.#place),
      peers: this.#place,
      onEvent: this.#onEvent,
      databases: new Databases(this.#options, parser, () => this.#addresses(watch)),
      pools,
      lanes: new Lanes(pools, this.#options),
      greetings: new Greetings(),
    };
    const door = new Door({
      options: this.#options,
      tls: this.#options.tls === null ? null : await ClientTls.create(this.#options.tls),
      secrets,
      clients: this.#clients,
      onRefusedLogin: (address, user) => {
        this.#stats.refusedLogins += 1;
        this.#place.tell({ kind: 'login-failed', address, user });
      },
    });
    const server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: true }, socket => void this.#serve(socket));
    const limits = new TimeLimits(this.#options, () => this.#clients.sessions());
    limits.start();
    this.#running = { server, watch, freshness, secrets, context, door, limits };
    this.#place.join(new Desk(this.#clients, context, door));
    const { listenFd } = this.#place;
    const where = listenFd === null ? { host: this.#options.host, port: this.#options.port } : { fd: listenFd };
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ ...where, backlog: 1024 }, () => resolve());
    });
    const impatient = new Promise<void>(resolve => setTimeout(resolve, FIRST_POSITIONS_MS).unref());
    await Promise.race([freshness.start(), impatient]);
    return this.#address(server);
  }

  /**
   * Takes on other options, for all clients that are there and those to come. Where it listens, its workers and the router's role stay as they are; so does
   * what a session was given when it began. Rejects, with nothing changed, when the certificate is not usable.
   */
  async reload(next: ProxyOptions): Promise<void> {
    const tls = next.tls === null ? null : await ClientTls.create(next.tls);
    const { host, port, workers, router } = this.#options;
    Object.assign(this.#options, next, { host, port, workers, router } satisfies Partial<ProxyOptions>);
    const running = this.#running;
    if (running === null) return;
    running.door.useTls(tls);
    running.limits.start();
    running.freshness.onOptions();
    running.context.databases.onOptions();
    running.context.pools.onOptions();
  }

  /** Takes no more clients, and ends each of those that are there as soon as it rests; resolves when all are gone, or the time is over. */
  async drain(limitMs: number): Promise<void> {
    this.#running?.server.close();
    const endMs = performance.now() + limitMs;
    while (this.#clients.size > 0 && performance.now() < endMs) {
      this.#clients.endResting(shuttingDown());
      await new Promise(resolve => setTimeout(resolve, DRAIN_POLL_MS));
    }
  }

  /** Ends all sessions and waits for their sockets. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    const closed = new Promise<void>(resolve => running.server.close(() => resolve()));
    this.#clients.endAll(shuttingDown());
    for (const socket of this.#sockets) socket.destroySoon();
    running.limits.stop();
    running.watch.stop();
    running.freshness.stop();
    running.secrets.end();
    running.context.databases.stop();
    running.context.lanes.stop();
    running.context.pools.stop();
    await closed;
  }

  /** Clients with a transaction or a statement under way on the primary: a switchover waits for them. */
  get busyOnPrimary(): number {
    let busy = 0;
    for (const session of this.#clients.sessions()) if (session.busyOnPrimary) busy += 1;
    return busy;
  }

  stats(): ProxyStats {
    const running = this.#running;
    return {
      clients: this.#clients.size,
      held: running?.watch.held ?? 0,
      writes: this.#stats.writes,
      reads: Object.fromEntries(this.#stats.reads),
      laneReads: this.#stats.laneReads,
      lanes: running?.context.lanes.count ?? 0,
      retries: Object.fromEntries(this.#stats.retries),
      refusedLogins: this.#stats.refusedLogins,
      cancels: this.#stats.cancels,
      sessions: this.#clients.activities(),
      pools: addPools(running?.context.pools.uses() ?? []),
      prepared: running?.context.databases.prepared ?? { sent: 0, reused: 0 },
      answers: Object.fromEntries(this.#stats.answers),
      waits: Object.fromEntries(running?.freshness.waits ?? []),
      holds: this.#stats.holds,
      holdFailures: this.#stats.holdFailures,
      listening: running?.server.listening ? this.#address(running.server) : null,
    };
  }

  #sources(watch: ClusterWatch, pools: Pools, freshness: Freshness): TableSources {
    const stats = this.#stats;
    return {
      clients: () => this.#clients.facts(),
      *servers() {
        const { primary, replicas } = watch.topology;
        const facts = (role: 'primary' | 'replica', { id, host, port, timeline }: RoutableServer): ServerFacts => ({
          member: id,
          role,
          address: `${host}:${port}`,
          timeline,
          reads: stats.reads.get(id) ?? 0,
        });
        if (primary.kind !== 'absent') yield facts('primary', primary.server);
        for (const replica of replicas) yield facts('replica', replica);
      },
      pools: () => pools.report(),
      *stats() {
        yield* stats.counts();
        for (const [reason, waits] of freshness.waits) yield [`waits.${reason}`, observed(waits)];
      },
    };
  }

  #address(server: Server): { host: string; port: number } {
    const { address, port } = server.address() as AddressInfo;
    return { host: address, port };
  }

  #addresses(watch: ClusterWatch): readonly ServerAddress[] {
    const { primary, replicas } = watch.topology;
    return primary.kind === 'absent' ? replicas : [primary.server, ...replicas];
  }

  #onTopology(): void {
    const running = this.#running;
    if (running === null) return;
    const { topology } = running.watch;
    running.freshness.follow(topology);
    running.secrets.onTerm(topology.term);
    running.context.pools.onTopology(topology);
    running.context.lanes.onTopology(topology);
    for (const session of this.#clients.sessions()) session.onTopology();
  }

  // ---- one client

  async #serve(socket: Socket): Promise<void> {
    const running = this.#running;
    // Sockets that have not logged in are bounded as well: they cost memory for as long as the login may take.
    if (running === null || this.#sockets.size >= this.#options.maxClients * 2) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    try {
      const admission = await running.door.admit(socket);
      switch (admission.kind) {
        case 'session':
          return await this.#begin(admission).catch((error: unknown) => refuse(admission.socket, error as Error));
        case 'replication':
          return await this.#replicate(admission).catch((error: unknown) => refuse(admission.socket, error as Error));
        case 'cancel':
          await this.#clients.cancel(admission.key);
          // PostgreSQL too closes the connection without an answer, once the cancel is on its way.
          admission.socket.end();
          return;
        case 'closed':
          return;
        default:
          admission satisfies never;
      }
    } catch (error) {
      this.#onEvent({ kind: 'warning', message: `a client could not be served: ${(error as Error).message}` });
      socket.destroy();
    }
  }

  async #begin(admitted: Admitted): Promise<void> {
    const { socket, identity, minor, parameters, asked, rest } = admitted;
    const running = this.#running;
    if (running === null) throw shuttingDown();
    const key = this.#clients.newKey(minor);
    const { settings, fixed } = startupSettings(parameters);
    const session = new Session({
      context: running.context,
      socket,
      user: this.#users.of(identity, parameters.get('database') ?? identity.user, fixed),
      settings,
      wishes: asked.wishes,
      token: asked.token,
      onEnd: () => this.#clients.remove(key),
    });
    this.#clients.add({ ...client(admitted, key), session, end: failure => session.fail(failure) });
    try {
      await session.begin(backend.backendKeyData(key), rest);
    } catch (error) {
      this.#clients.remove(key);
      throw error;
    }
  }

  /** Replication connections speak to the primary alone. */
  async #replicate(admitted: Admitted): Promise<void> {
    const { socket, identity, parameters, rest } = admitted;
    const running = this.#running;
    const primary = running?.watch.topology.primary;
    if (running === null || primary === undefined) throw shuttingDown();
    if (primary.kind !== 'open') throw noServer(running.watch.reason);
    const server = await joinToPrimary({
      client: socket,
      early: rest,
      server: primary.server,
      parameters,
      credential: { kind: 'keys', keys: identity.keys },
      tls: this.#options.serverTls,
      timeoutMs: this.#options.connectTimeoutMs,
    });
    const key = this.#clients.newKey(0);
    this.#clients.add({ ...client(admitted, key), session: null, end: () => socket.destroy() });
    server.once('close', () => this.#clients.remove(key));
  }
}

function client({ socket, identity, parameters }: Admitted, key: Client['key']): Omit<Client, 'session' | 'end'> {
  return {
    key,
    user: identity.user,
    database: parameters.get('database') ?? identity.user,
    applicationName: parameters.get('application_name') ?? '',
    socket,
    connectedAtMs: performance.now(),
  };
}

/** Tells a client why it cannot be served. */
function refuse(socket: Socket, error: Error): void {
  const told = error instanceof ProxyFailure || error instanceof LoginRefused || error instanceof StatementRefused;
  socket.end(new ProxyFailure({ ...(told ? error : noServer(error.message)).fields, severity: 'FATAL' }).frame());
}
