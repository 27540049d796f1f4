import type { RoutableServer } from '@understudy/core/routing';
import { audit, readAudit } from './audit.ts';
import type { Acquisition, ServerRole } from './pool.ts';
import type { PoolUser } from './pool-users.ts';
import type { ServerConnection, ServerConnectionOwner } from './server-connection.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionState } from './session-state.ts';
import { readSettings } from './settings.ts';
import { SettingsSet } from './settings-set.ts';

/** Units that a session may run on a connection without giving it back, while others wait for one. */
const FAIR_UNITS = 64;
/** To take the leftovers of a client that is gone off its connection. */
const CLEAN_TIMEOUT_MS = 5_000;

/** The connections that a session has on loan from the pools: at most one to the primary and one to a replica. */
export class SessionServers {
  readonly #context: SessionContext;
  readonly #owner: ServerConnectionOwner;
  readonly #user: PoolUser;
  #primary: ServerConnection | null = null;
  #replica: ServerConnection | null = null;
  #acquisition: Acquisition | null = null;
  /** Units sent since the connection was taken. */
  #units = 0;
  #ended = false;

  constructor(context: SessionContext, owner: ServerConnectionOwner, user: PoolUser) {
    this.#context = context;
    this.#owner = owner;
    this.#user = user;
  }

  get user(): PoolUser {
    return this.#user;
  }

  get primary(): ServerConnection | null {
    return this.#primary;
  }

  get replica(): ServerConnection | null {
    return this.#replica;
  }

  /** Does something with each connection on loan. */
  each(action: (connection: ServerConnection) => void): void {
    if (this.#primary !== null) action(this.#primary);
    if (this.#replica !== null) action(this.#replica);
  }

  /** A free connection at once; null: it takes a wait. */
  take(server: RoutableServer, role: ServerRole, term: number, settings: SettingsSet): ServerConnection | null {
    const connection = this.#context.pools.of(server, role, term, this.#user).take(settings);
    return connection === null ? null : this.#keep(connection);
  }

  /** Waits for a connection. Rejects with ProxyFailure, LoginRefused, Superseded or what went wrong on the way. */
  async acquire(server: RoutableServer, role: ServerRole, term: number): Promise<ServerConnection> {
    const acquisition = this.#context.pools.of(server, role, term, this.#user).acquire();
    this.#acquisition = acquisition;
    try {
      const connection = await acquisition.connection;
      if (!this.#ended && !connection.lost) return this.#keep(connection);
      this.#context.pools.release(connection);
      throw new Error('the session has ended, or the connection was lost');
    } finally {
      if (this.#acquisition === acquisition) this.#acquisition = null;
    }
  }

  /** Ends the wait for a connection. */
  cancelAcquisition(): void {
    this.#acquisition?.cancel();
  }

  #keep(connection: ServerConnection): ServerConnection {
    connection.owner = this.#owner;
    this.#units = 0;
    if (connection.role === 'primary') this.#primary = connection;
    else this.#replica = connection;
    return connection;
  }

  sent(): void {
    this.#units += 1;
  }

  /** Others have waited long enough for this connection. */
  mustYield(connection: ServerConnection): boolean {
    return this.#units >= FAIR_UNITS && (connection.pool?.waitingCount ?? 0) > 0;
  }

  /** Gives a connection back on which nothing is under way. */
  release(connection: ServerConnection): void {
    this.forget(connection);
    this.#context.pools.release(connection);
  }

  forget(connection: ServerConnection): void {
    if (this.#primary === connection) this.#primary = null;
    if (this.#replica === connection) this.#replica = null;
  }

  /**
   * The client is gone. What carries nothing of it goes back; what is at work for it is cut, as PostgreSQL itself notices a client that is gone; the rest
   * is cleaned first.
   */
  end(state: SessionState): void {
    this.#ended = true;
    this.cancelAcquisition();
    const { primary, replica } = this;
    this.#primary = null;
    this.#replica = null;
    if (replica !== null) this.#context.pools.release(replica);
    if (primary === null) return;
    const clean = primary.idle && !state.pins.holds && !state.pins.inDoubt && !state.settings.hasTouched;
    if (clean || primary.expectations.size > 0 || state.pins.has('loaded libraries')) {
      if (clean) this.#context.pools.release(primary);
      else {
        primary.owner = null;
        primary.destroy(new Error('the client is gone'));
      }
    } else void cleanUp(primary, this.#context);
  }
}

/** Makes a connection as it was after its login, and gives it back. */
async function cleanUp(connection: ServerConnection, { pools }: SessionContext): Promise<void> {
  connection.owner = connection.pool;
  const timer = setTimeout(() => connection.destroy(new Error('the connection could not be cleaned in time')), CLEAN_TIMEOUT_MS);
  try {
    if (connection.status !== 'I') await connection.ask('ROLLBACK');
    await connection.ask('DISCARD ALL');
    connection.prepared.forgetAll();
    connection.prepared.inDoubt = false;
    connection.applied = SettingsSet.EMPTY;
    connection.tainted = false;
    pools.release(connection);
  } catch (error) {
    connection.destroy(error as Error);
  } finally {
    clearTimeout(timer);
  }
}

/** Learns from the connection what the settings that were touched are now. */
export async function learnSettings(connection: ServerConnection, { settings }: SessionState): Promise<void> {
  const question = settings.takeQuestion();
  if (question === null) return;
  const [row] = await connection.ask(question.sql);
  connection.applied = settings.learn(readSettings(question.names, row), connection.applied);
}

/** Learns from the connection all that the session holds there. */
export async function auditSession(connection: ServerConnection, state: SessionState, user: PoolUser): Promise<void> {
  const { settings, pins } = state;
  const { customNames } = settings;
  settings.forgetTouched();
  const [row] = await connection.ask(audit(user.identity.user, customNames));
  const findings = readAudit(row);
  if (findings === null) throw new Error('the audit of a session was not answered');
  connection.applied = settings.learnAll(findings.settings, findings.custom);
  pins.settle(findings);
}
