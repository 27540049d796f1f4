import type { RoutableServer } from '@understudy/core/routing';
import type { ProxyOptions } from './options.ts';
import { ServerConnection } from './server-connection.ts';

/**
 * A commit that replicas must acknowledge. With names of this term in force, its acknowledgement proves that no newer term had enough of them when it
 * was sent: the primary still leads, whatever has become of the store.
 */
const PROOF = `SELECT pg_catalog.pg_logical_emit_message(true, 'understudy', ''), pg_catalog.current_setting('synchronous_standby_names')`;

/** Asks a primary to prove that it leads; one question at a time, on a connection of its own. */
export class LeadershipProof {
  readonly #options: ProxyOptions;
  #connection: { readonly to: string; readonly open: Promise<ServerConnection> } | null = null;
  #asking = false;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  /** Whether it has proved just now that it leads the term. False: not shown within the time, which proves nothing. */
  async ask(server: RoutableServer, term: number, timeoutMs: number): Promise<boolean> {
    if (this.#asking) return false;
    this.#asking = true;
    const address = `${server.host}:${server.port} ${term}`;
    let timer: NodeJS.Timeout | undefined;
    try {
      if (this.#connection?.to !== address) {
        this.end();
        this.#connection = { to: address, open: this.#open(server, term, timeoutMs) };
      }
      const connection = await this.#connection!.open;
      timer = setTimeout(() => connection.destroy(new Error('no proof in time')), timeoutMs);
      const [row] = await connection.ask(PROOF);
      return provesTerm(String(row?.[1] ?? ''), term);
    } catch {
      this.#connection = null;
      return false;
    } finally {
      clearTimeout(timer);
      this.#asking = false;
    }
  }

  end(): void {
    const connection = this.#connection;
    this.#connection = null;
    connection?.open.then(
      open => open.end(),
      () => undefined,
    );
  }

  #open(server: RoutableServer, term: number, timeoutMs: number): Promise<ServerConnection> {
    const { user, password, database } = this.#options.router;
    const parameters = { user, database, application_name: 'understudy router', client_encoding: 'UTF8', synchronous_commit: 'on' };
    return ServerConnection.open({
      address: server,
      member: server.id,
      role: 'primary',
      term,
      parameters: new Map(Object.entries(parameters)),
      credential: { kind: 'password', password },
      tls: this.#options.serverTls,
      timeoutMs,
    });
  }
}

/** Whether commits wait for replicas that stream under this term: `ANY 1 (n2_t7, n3_t7)`. */
export function provesTerm(synchronousNames: string, term: number): boolean {
  const names = /^ANY [1-9]\d* \((.+)\)$/.exec(synchronousNames)?.[1]?.split(', ') ?? [];
  return names.length > 0 && names.every(name => name.endsWith(`_t${term}`));
}
