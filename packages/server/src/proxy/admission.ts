import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { backend, type BackendKey, negotiate } from '@understudy/wire';
import { authenticate, type Proven } from './client-login.ts';
import type { ClientTls } from './client-tls.ts';
import {
  invalidAtStartup,
  noServer,
  noUser,
  ProxyFailure,
  tooManyClients,
  tooManyClientsOfRole,
  tooManyFailedLogins,
  wrongPassword,
} from './errors.ts';
import { type Opening, openClient } from './handshake.ts';
import { DEFAULT_PENALTY_RULES, LoginPenalties } from './login-penalties.ts';
import type { ProxyOptions } from './options.ts';
import { type LoginWishes, wishesAtLogin } from './router-state.ts';
import type { Identity, Secrets } from './secrets.ts';

/** A client that has proved who it is. */
export interface Admitted {
  readonly socket: Socket;
  readonly identity: Identity;
  /** Minor version of protocol 3 in force. */
  readonly minor: number;
  /** Startup parameters for the servers, without those for the router and those of the protocol. */
  readonly parameters: ReadonlyMap<string, string>;
  /** What it wants of the router. */
  readonly asked: Extract<LoginWishes, { ok: true }>;
  /** Bytes that came behind the login. */
  readonly rest: Buffer;
}

/** What became of a new connection; every other one has been told why and closed. */
export type Admission =
  | ({ readonly kind: 'session' } & Admitted)
  | ({ readonly kind: 'replication' } & Admitted)
  | { readonly kind: 'cancel'; readonly socket: Socket; readonly key: BackendKey }
  | { readonly kind: 'closed' };

const CLOSED: Admission = { kind: 'closed' };

export interface DoorRequest {
  readonly options: ProxyOptions;
  readonly tls: ClientTls | null;
  readonly secrets: Secrets;
  /** Clients now: all, and those of one role. */
  readonly clients: { readonly total: number; totalOfRole(user: string): Promise<number> };
  readonly onRefusedLogin: (address: string, user: string) => void;
}

/** The way from an accepted socket to a client that has logged in, under limits of time, size and number. */
export class Door {
  readonly #options: ProxyOptions;
  #tls: ClientTls | null;
  readonly #secrets: Secrets;
  readonly #clients: DoorRequest['clients'];
  readonly #onRefusedLogin: DoorRequest['onRefusedLogin'];
  readonly #penalties: LoginPenalties;
  /** Connections on their way in, oldest first. */
  readonly #entering = new Set<Socket>();

  constructor({ options, tls, secrets, clients, onRefusedLogin }: DoorRequest) {
    this.#options = options;
    this.#tls = tls;
    this.#secrets = secrets;
    this.#clients = clients;
    this.#onRefusedLogin = onRefusedLogin;
    this.#penalties = new LoginPenalties({ ...DEFAULT_PENALTY_RULES, delayMs: options.failureDelayMs });
  }

  /** Never rejects on what a client does. */
  async admit(socket: Socket): Promise<Admission> {
    this.#makeRoom();
    this.#entering.add(socket);
    const limit = setTimeout(() => socket.destroy(), this.#options.loginTimeoutMs);
    try {
      const opening = await openClient(socket, this.#tls);
      return opening.kind === 'startup' ? await this.#login(opening) : ended(opening);
    } finally {
      clearTimeout(limit);
      this.#entering.delete(socket);
    }
  }

  /** Connections that do not get on with their login must not keep others out: beyond the limit the one that has taken longest goes. */
  #makeRoom(): void {
    if (this.#entering.size < this.#options.maxClients) return;
    const [slowest] = this.#entering;
    slowest?.destroy();
    if (slowest !== undefined) this.#entering.delete(slowest);
  }

  async #login(opening: Extract<Opening, { kind: 'startup' }>): Promise<Admission> {
    const { socket, parameters } = opening;
    try {
      const negotiated = negotiate(opening.minor, parameters);
      if (negotiated.mustTell) socket.write(backend.negotiateProtocolVersion(negotiated.minor, negotiated.unknownOptions));
      const user = parameters.get('user');
      if (user === undefined || user === '') throw noUser();
      if (this.#clients.total >= this.#options.maxClients) throw tooManyClients();
      const asked = wishesAtLogin(parameters, this.#options);
      if (!asked.ok) throw invalidAtStartup(asked.message);
      const proven = await this.#prove(socket, user, opening.rest);
      if (proven === null) return CLOSED;
      const { identity, rest, connectionLimit } = proven;
      if (connectionLimit >= 0 && (await this.#clients.totalOfRole(user)) >= connectionLimit) throw tooManyClientsOfRole(user);
      const kind = isReplication(parameters.get('replication')) ? 'replication' : 'session';
      const minor = kind === 'replication' ? 0 : negotiated.minor;
      return { kind, socket, identity, minor, parameters: forServers(parameters, kind), asked, rest };
    } catch (error) {
      socket.end((error instanceof ProxyFailure ? error : noServer((error as Error).message)).frame());
      return CLOSED;
    }
  }

  /** For connections to come; those that have made their handshake keep what it gave them. */
  useTls(tls: ClientTls | null): void {
    this.#tls = tls;
  }

  /** A login has failed at another door of the same proxy. */
  noteFailureElsewhere(address: string, user: string): void {
    this.#penalties.failed(address, user, performance.now());
  }

  async #prove(socket: Socket, user: string, early: Buffer): Promise<Proven | null> {
    const address = socket.remoteAddress ?? '';
    if (this.#penalties.refuses(address, user, performance.now())) throw tooManyFailedLogins();
    const proven = await authenticate(socket, user, this.#secrets, this.#tls?.binding ?? null, early);
    if (proven !== 'refused') return proven;
    this.#onRefusedLogin(address, user);
    const delayMs = this.#penalties.failed(address, user, performance.now());
    if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs));
    throw wrongPassword(user);
  }
}

function ended(opening: Exclude<Opening, { kind: 'startup' }>): Admission {
  switch (opening.kind) {
    case 'cancel':
      return opening;
    case 'refused':
      opening.socket.end(opening.failure.frame());
      return CLOSED;
    case 'gone':
      return CLOSED;
    default:
      return opening satisfies never;
  }
}

function forServers(parameters: ReadonlyMap<string, string>, kind: 'session' | 'replication'): ReadonlyMap<string, string> {
  const isOurs = (name: string): boolean => name.startsWith('_pq_.') || name.startsWith('understudy.');
  return new Map([...parameters].filter(([name]) => !isOurs(name) && (kind === 'replication' || name !== 'replication')));
}

function isReplication(value: string | undefined): boolean {
  return value !== undefined && ['database', 'true', 'on', 'yes', '1'].includes(value.toLowerCase());
}
