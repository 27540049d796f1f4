import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext } from 'node:tls';
import { backend, type BackendKey, negotiate } from '@understudy/wire';
import { authenticate } from './client-login.ts';
import { Databases } from './databases.ts';
import { noServer, noUser, ProxyFailure, protocolViolation, shuttingDown, tooManyClients } from './errors.ts';
import { Freshness } from './freshness.ts';
import { Greetings } from './greetings.ts';
import { type Opening, openClient, type TlsMaterial } from './handshake.ts';
import { ClusterWatch } from './hold.ts';
import { Lanes } from './lanes.ts';
import type { ProxyOptions } from './options.ts';
import { joinToPrimary } from './passthrough.ts';
import { Pools, poolUser } from './pools.ts';
import type { ProxyEvent, ProxyStats, TopologySource } from './ports.ts';
import { type LoginWishes, wishesAtLogin } from './router-state.ts';
import { type Identity, Secrets } from './secrets.ts';
import { LoginRefused } from './server-login.ts';
import { type ServerAddress, StatementRefused } from './server-connection.ts';
import { Session } from './session.ts';
import type { SessionContext } from './session-context.ts';
import { sqlParser } from './sql-parser.ts';
import { startupSettings } from './startup-settings.ts';
import { StatementWatch } from './statement-watch.ts';
import { StatsCounter } from './stats.ts';

/** The start does not wait longer than this for servers that do not answer. */
const FIRST_POSITIONS_MS = 500;

interface Client {
  readonly key: BackendKey;
  readonly session: Session | null;
  readonly end: (failure: ProxyFailure) => void;
}

/** The wire-protocol door: accepts clients on one port and serves each from the primary and the replicas. */
export class ProxyServer {
  readonly #options: ProxyOptions;
  readonly #source: TopologySource;
  readonly #onEvent: (event: ProxyEvent) => void;
  readonly #stats: StatsCounter = new StatsCounter();
  /** For whoever looks at what is routed. */
  readonly statements: StatementWatch = new StatementWatch();
  readonly #clients = new Map<number, Client>();
  readonly #sockets = new Set<Socket>();
  #running: {
    server: Server;
    watch: ClusterWatch;
    freshness: Freshness;
    secrets: Secrets;
    context: SessionContext;
    tls: TlsMaterial | null;
  } | null = null;

  constructor(options: ProxyOptions, source: TopologySource, onEvent: (event: ProxyEvent) => void = () => undefined) {
    this.#options = options;
    this.#source = source;
    this.#onEvent = onEvent;
  }

  /** Listens; resolves with the address in use. Rejects when the port is taken or the certificate is not usable. */
  async start(): Promise<{ readonly host: string; readonly port: number }> {
    const parser = await sqlParser();
    const { tls: material } = this.#options;
    const tls =
      material === null ? null : { context: createSecureContext({ cert: material.cert, key: material.key, minVersion: 'TLSv1.2' }) };
    const freshness = new Freshness(this.#options, this.#source.current());
    const watch = new ClusterWatch(this.#source, this.#options.maxHeld, () => this.#onTopology(), this.#onEvent);
    const secrets = new Secrets(this.#options, () => this.#addresses(watch));
    const pools = new Pools(this.#options);
    const context: SessionContext = {
      options: this.#options,
      watch,
      freshness,
      stats: this.#stats,
      statements: this.statements,
      onEvent: this.#onEvent,
      databases: new Databases(this.#options, parser, () => this.#addresses(watch)),
      pools,
      lanes: new Lanes(pools, this.#options),
      greetings: new Greetings(),
    };
    const server = createServer({ noDelay: true, keepAlive: true, pauseOnConnect: true }, socket => void this.#serve(socket));
    this.#running = { server, watch, freshness, secrets, context, tls };
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: this.#options.host, port: this.#options.port, backlog: 1024 }, () => resolve());
    });
    const impatient = new Promise<void>(resolve => setTimeout(resolve, FIRST_POSITIONS_MS).unref());
    await Promise.race([freshness.start(), impatient]);
    return this.#address(server);
  }

  /** Ends all sessions and waits for their sockets. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    const closed = new Promise<void>(resolve => running.server.close(() => resolve()));
    for (const client of this.#clients.values()) client.end(shuttingDown());
    for (const socket of this.#sockets) socket.destroySoon();
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
    for (const client of this.#clients.values()) if (client.session?.busyOnPrimary) busy += 1;
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
      listening: running === null ? null : this.#address(running.server),
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
    for (const client of this.#clients.values()) client.session?.onTopology();
  }

  // ---- one client

  async #serve(socket: Socket): Promise<void> {
    // Sockets that have not logged in are bounded as well: they cost memory for as long as the login may take.
    if (this.#sockets.size >= this.#options.maxClients * 2) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    const limit = setTimeout(() => socket.destroy(), this.#options.loginTimeoutMs);
    try {
      const opening = await openClient(socket, this.#running?.tls ?? null);
      await this.#open(opening, limit);
    } catch (error) {
      this.#onEvent({ kind: 'warning', message: `a client could not be served: ${(error as Error).message}` });
      socket.destroy();
    } finally {
      clearTimeout(limit);
    }
  }

  async #open(opening: Opening, limit: NodeJS.Timeout): Promise<void> {
    switch (opening.kind) {
      case 'gone':
        return;
      case 'refused':
        opening.socket.end(opening.failure.frame());
        return;
      case 'cancel':
        await this.#cancel(opening.key);
        // PostgreSQL too closes the connection without an answer, once the cancel is on its way.
        opening.socket.end();
        return;
      case 'startup':
        try {
          await this.#login(opening, limit);
        } catch (error) {
          const failure =
            error instanceof ProxyFailure
              ? new ProxyFailure({ ...error.fields, severity: 'FATAL' })
              : error instanceof LoginRefused || error instanceof StatementRefused
                ? new ProxyFailure({ ...error.fields, severity: 'FATAL' })
                : null;
          opening.socket.end((failure ?? noServer((error as Error).message)).frame());
        }
    }
  }

  async #login(opening: Extract<Opening, { kind: 'startup' }>, limit: NodeJS.Timeout): Promise<void> {
    const running = this.#running;
    const { socket } = opening;
    if (running === null) throw shuttingDown();
    const negotiated = negotiate(opening.minor, opening.parameters);
    if (negotiated.mustTell) socket.write(backend.negotiateProtocolVersion(negotiated.minor, negotiated.unknownOptions));
    const user = opening.parameters.get('user');
    if (user === undefined || user === '') throw noUser();
    if (this.#clients.size >= this.#options.maxClients) throw tooManyClients();
    const asked = wishesAtLogin(opening.parameters, this.#options);
    if (!asked.ok) throw protocolViolation(asked.message);
    const proven = await authenticate(socket, user, running.secrets, this.#options.tls?.cert ?? null, opening.rest).catch(
      async (error: unknown) => {
        if (error instanceof ProxyFailure && error.fields.code === '28P01') {
          this.#stats.refusedLogins += 1;
          await new Promise(resolve => setTimeout(resolve, this.#options.failureDelayMs));
        }
        throw error;
      },
    );
    if (proven === null) return;
    clearTimeout(limit);
    if (isReplication(opening.parameters.get('replication'))) await this.#replicate(opening, proven.identity, proven.rest);
    else await this.#begin(opening, proven.identity, proven.rest, asked, negotiated.minor);
  }

  async #begin(
    opening: Extract<Opening, { kind: 'startup' }>,
    identity: Identity,
    rest: Buffer,
    asked: Extract<LoginWishes, { ok: true }>,
    minor: number,
  ): Promise<void> {
    const running = this.#running;
    if (running === null) throw shuttingDown();
    const key = this.#newKey(minor);
    const { settings, fixed } = startupSettings(opening.parameters);
    const session = new Session({
      context: running.context,
      socket: opening.socket,
      user: poolUser(identity, opening.parameters.get('database') ?? identity.user, fixed),
      settings,
      wishes: asked.wishes,
      token: asked.token,
      onEnd: () => this.#clients.delete(key.processId),
    });
    this.#clients.set(key.processId, { key, session, end: failure => session.fail(failure) });
    try {
      await session.begin(backend.backendKeyData(key), rest);
    } catch (error) {
      this.#clients.delete(key.processId);
      throw error;
    }
  }

  /** Replication connections speak to the primary alone. */
  async #replicate(opening: Extract<Opening, { kind: 'startup' }>, identity: Identity, early: Buffer): Promise<void> {
    const running = this.#running;
    const primary = running?.watch.topology.primary;
    if (running === null || primary === undefined) throw shuttingDown();
    if (primary.kind !== 'open') throw noServer(running.watch.reason);
    const server = await joinToPrimary({
      client: opening.socket,
      early,
      server: primary.server,
      parameters: new Map([...opening.parameters].filter(([name]) => !name.startsWith('_pq_.') && !name.startsWith('understudy.'))),
      credential: { kind: 'keys', keys: identity.keys },
      timeoutMs: this.#options.connectTimeoutMs,
    });
    const key = this.#newKey(0);
    this.#clients.set(key.processId, { key, session: null, end: () => opening.socket.destroy() });
    server.once('close', () => this.#clients.delete(key.processId));
  }

  /** Protocol 3.2 has room for a key that cannot be guessed; 3.0 has four bytes. */
  #newKey(minor: number): BackendKey {
    let processId = randomInt(1, 0x7fffffff);
    while (this.#clients.has(processId)) processId = randomInt(1, 0x7fffffff);
    return { processId, secret: randomBytes(minor >= 2 ? 32 : 4) };
  }

  async #cancel(key: BackendKey): Promise<void> {
    const client = this.#clients.get(key.processId);
    if (client === undefined || client.key.secret.length !== key.secret.length) return;
    if (timingSafeEqual(client.key.secret, key.secret)) await client.session?.cancel();
  }
}

function isReplication(value: string | undefined): boolean {
  return value !== undefined && ['database', 'true', 'on', 'yes', '1'].includes(value.toLowerCase());
}
