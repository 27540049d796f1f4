import type { RoutableServer, Topology } from '@understudy/core/routing';
import { askSettings, settingsPatch, type SessionSettings } from './settings.ts';
import type { Identity } from './secrets.ts';
import { ServerConnection, type ServerConnectionOwner } from './server-connection.ts';
import type { PreparedStatement } from './prepared.ts';
import type { SessionContext } from './session-context.ts';

/** The connections of one session: at most one to the primary and one to each replica that it has read from. */
export class SessionServers {
  readonly #context: SessionContext;
  readonly #owner: ServerConnectionOwner;
  readonly #identity: Identity;
  readonly #parameters: ReadonlyMap<string, string>;
  #primary: ServerConnection | null = null;
  readonly #replicas = new Map<string, ServerConnection>();
  /** The connection that is being made. A session makes one at a time. */
  #opening: {
    readonly server: RoutableServer;
    readonly role: 'primary' | 'replica';
    readonly term: number;
    readonly abort: AbortController;
  } | null = null;
  #ended = false;

  constructor(context: SessionContext, owner: ServerConnectionOwner, identity: Identity, parameters: ReadonlyMap<string, string>) {
    this.#context = context;
    this.#owner = owner;
    this.#identity = identity;
    this.#parameters = parameters;
  }

  get primary(): ServerConnection | null {
    return this.#primary;
  }

  replica(id: string): ServerConnection | null {
    return this.#replicas.get(id) ?? null;
  }

  *all(): IterableIterator<ServerConnection> {
    if (this.#primary !== null) yield this.#primary;
    yield* this.#replicas.values();
  }

  /** Rejects with LoginRefused, or with what went wrong on the way, a change of the topology included. */
  async open(server: RoutableServer, role: 'primary' | 'replica', term: number): Promise<ServerConnection> {
    const abort = new AbortController();
    this.#opening = { server, role, term, abort };
    const connection = await ServerConnection.open({
      address: server,
      member: server.id,
      role,
      term,
      parameters: this.#parameters,
      credential: { kind: 'keys', keys: this.#identity.keys },
      timeoutMs: this.#context.options.connectTimeoutMs,
      signal: abort.signal,
    });
    if (this.#ended || abort.signal.aborted) {
      connection.end();
      throw new Error('the session has ended, or the topology has changed');
    }
    this.#opening = null;
    connection.owner = this.#owner;
    if (role === 'primary') this.#primary = connection;
    else this.#replicas.set(server.id, connection);
    return connection;
  }

  /** Gives up a connection in the making that the new topology has no use for. */
  abandonOpening(topology: Topology): void {
    const opening = this.#opening;
    if (opening === null) return;
    const useful = opening.role === 'primary' ? opening.term === topology.term : topology.replicas.some(r => r.id === opening.server.id);
    if (!useful) opening.abort.abort();
  }

  forget(connection: ServerConnection): void {
    if (this.#primary === connection) this.#primary = null;
    if (this.#replicas.get(connection.member) === connection) this.#replicas.delete(connection.member);
  }

  closeStatement(statement: PreparedStatement): void {
    for (const connection of this.all()) if (connection.prepared.has(statement)) connection.prepared.closeLater(statement);
  }

  /** Ends every connection; one with work in flight is cut, as PostgreSQL itself notices a client that is gone. */
  end(): void {
    this.#ended = true;
    for (const connection of this.all()) {
      if (connection.idle) connection.end();
      else {
        connection.owner = null;
        connection.destroy(new Error('the client is gone'));
      }
    }
    this.#primary = null;
    this.#replicas.clear();
  }
}

/** Gives the connection the session's settings. */
export async function applySettings(connection: ServerConnection, settings: SessionSettings): Promise<void> {
  const patch = settingsPatch(connection.settings, settings.values);
  if (patch === null) return;
  await connection.ask(patch);
  connection.settings.clear();
  for (const [name, value] of settings.values) connection.settings.set(name, value);
}

export function needsSettings(connection: ServerConnection, settings: SessionSettings): boolean {
  return settingsPatch(connection.settings, settings.values) !== null;
}

/** Learns from the connection what the settings that were touched are now. */
export async function learnSettings(connection: ServerConnection, settings: SessionSettings): Promise<void> {
  const names = settings.takeTouched();
  if (names.length === 0) return;
  const [row] = await connection.ask(askSettings(names));
  names.forEach((name, i) => {
    const value = row?.[i] ?? null;
    settings.learn(name, value);
    if (value === null) connection.settings.delete(name);
    else connection.settings.set(name, value);
  });
}
