import { createHash, randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { type ClientKeys, parseVerifier, type ScramSecret, type ScramVerifier } from '@understudy/wire';
import type { ProxyOptions } from './options.ts';
import { saltedAsOn } from './salted.ts';
import { openAsRouter } from './router-connection.ts';
import type { ServerAddress, ServerConnection } from './server-connection.ts';

/** A function that runs with its owner's rights in a fixed search_path (see postgres/initialize.ts), or what it reads. */
const STORED: Readonly<Record<'function' | 'catalog', (user: string) => string>> = {
  function: user => `understudy.user_secret(${user})`,
  catalog: user =>
    `(SELECT rolpassword AS verifier, rolvaliduntil AS valid_until, rolcanlogin AS can_login
        FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) ${user}::pg_catalog.name)`,
};

/**
 * The secret of a role; all names are full, so nothing that a user plants in another schema is ever called. A role that may not log in, or whose
 * password has expired, has none. CONNECTION LIMIT does not hold for superusers, as in PostgreSQL.
 */
const secretQuery = (user: string, kind: 'function' | 'catalog'): string =>
  `SELECT s.verifier, CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END
     FROM ${STORED[kind](quote(user))} AS s, pg_catalog.pg_roles AS r
    WHERE r.rolname OPERATOR(pg_catalog.=) ${quote(user)}::pg_catalog.name AND s.can_login
      AND (s.valid_until IS NULL OR s.valid_until OPERATOR(pg_catalog.>) pg_catalog.now())`;

/** As a string of code points: no character of a name that a stranger chose has a meaning of its own. */
function quote(text: string): string {
  return `U&'${[...text].map(c => `\\+${(c.codePointAt(0) as number).toString(16).padStart(6, '0')}`).join('')}'`;
}

/** What the servers know of a role that may log in. */
interface Role {
  readonly verifier: ScramVerifier;
  readonly connectionLimit: number;
}

interface Known {
  readonly role: Role | null;
  /** Of the operator's list, of which the verifier was made. */
  readonly password?: string;
  readonly atMs: number;
}

/** What a login is checked against. */
export interface RoleSecret {
  readonly secret: ScramSecret;
  /** Clients that the role may have at once; -1 is no limit. */
  readonly connectionLimit: number;
}

/** Verifiers of the cluster's roles, as the servers have them. */
export class Secrets {
  readonly #options: ProxyOptions;
  /** Servers to ask, best first. */
  readonly #servers: () => readonly ServerAddress[];
  readonly #known = new Map<string, Known>();
  readonly #asking = new Map<string, Promise<Role | null>>();
  /** Makes the salt of roles that do not exist the same at each attempt, as it is for real ones. */
  readonly #mockSecret: Buffer = randomBytes(32);
  #connection: ServerConnection | null = null;
  readonly #opening = new Set<AbortController>();
  #term = 0;

  constructor(options: ProxyOptions, servers: () => readonly ServerAddress[]) {
    this.#options = options;
    this.#servers = servers;
  }

  /**
   * The secret to check `user` against. Asked for at each login, so that a new role or a changed password works at once; while no
   * server can be asked, what was true a moment ago still is. Rejects when nothing is known either.
   */
  async secretOf(user: string): Promise<RoleSecret> {
    const role = await this.#ask(user).catch((error: unknown) => this.#remembered(user, error as Error));
    if (role !== null) return { secret: { kind: 'verifier', verifier: role.verifier }, connectionLimit: role.connectionLimit };
    const salt = createHash('sha256').update(this.#mockSecret).update(user).digest().subarray(0, 16);
    return { secret: { kind: 'mock', salt }, connectionLimit: -1 };
  }

  /** Another server may be the one to ask now. A question that a hanging server was asked is asked again elsewhere. */
  onTerm(term: number): void {
    if (term === this.#term) return;
    this.#term = term;
    this.#connection?.destroy(new Error('a new term has begun'));
    this.#connection = null;
    for (const abort of this.#opening) abort.abort();
  }

  end(): void {
    this.#connection?.end();
    this.#connection = null;
  }

  #remembered(user: string, failure: Error): Role | null {
    const known = this.#known.get(user);
    if (known === undefined || performance.now() - known.atMs > this.#options.secretTtlMs) throw failure;
    return known.role;
  }

  #ask(user: string): Promise<Role | null> {
    let asking = this.#asking.get(user);
    if (asking === undefined) {
      asking = this.#fetch(user).finally(() => this.#asking.delete(user));
      this.#asking.set(user, asking);
    }
    return asking;
  }

  async #fetch(user: string): Promise<Role | null> {
    const { secrets } = this.#options;
    const role = secrets.kind === 'users' ? await this.#listed(user, secrets.passwords) : await this.#stored(user, secrets.kind);
    if (this.#known.size >= this.#options.maxSecrets) this.#known.delete(this.#known.keys().next().value as string);
    const password = secrets.kind === 'users' ? secrets.passwords[user] : undefined;
    this.#known.set(user, { role, atMs: performance.now(), ...(password === undefined ? {} : { password }) });
    return role;
  }

  async #stored(user: string, kind: 'function' | 'catalog'): Promise<Role | null> {
    const [text, limit] = (await this.#query(secretQuery(user, kind)))[0] ?? [];
    const verifier = typeof text === 'string' ? parseVerifier(text) : null;
    return verifier === null ? null : { verifier, connectionLimit: Number(limit ?? -1) };
  }

  /** A role of the operator's list. What it proves must open the servers, so that its password takes their salt; they count its connections themselves. */
  async #listed(user: string, passwords: Readonly<Record<string, string>>): Promise<Role | null> {
    const password = Object.hasOwn(passwords, user) ? passwords[user] : undefined;
    if (password === undefined) return null;
    const known = this.#known.get(user);
    const { secretTtlMs } = this.#options;
    if (known?.password === password && performance.now() - known.atMs <= secretTtlMs) return known.role;
    const verifier = parseVerifier(password) ?? (await saltedAsOn(this.#servers(), user, password, this.#options));
    return verifier === null ? null : { verifier, connectionLimit: -1 };
  }

  async #query(sql: string): Promise<(string | null)[][]> {
    if (this.#connection !== null) {
      try {
        return await this.#timed(this.#connection, sql);
      } catch {
        this.#connection?.destroy(new Error('asked in vain'));
        this.#connection = null;
      }
    }
    let failure: Error = new Error('no server is known');
    for (const address of this.#servers()) {
      try {
        const connection = await this.#open(address);
        this.#connection = connection;
        connection.socket.once('close', () => {
          if (this.#connection === connection) this.#connection = null;
        });
        return await this.#timed(connection, sql);
      } catch (error) {
        failure = error as Error;
      }
    }
    throw failure;
  }

  async #timed(connection: ServerConnection, sql: string): Promise<(string | null)[][]> {
    const timer = setTimeout(() => connection.destroy(new Error('the server did not answer in time')), this.#options.connectTimeoutMs);
    try {
      return await connection.ask(sql);
    } finally {
      clearTimeout(timer);
    }
  }

  async #open(address: ServerAddress): Promise<ServerConnection> {
    const abort = new AbortController();
    this.#opening.add(abort);
    return await openAsRouter(address, this.#options, { signal: abort.signal }).finally(() => this.#opening.delete(abort));
  }
}

/** Who a client has proved to be, and with what the proxy logs in to the servers for it. */
export interface Identity {
  readonly user: string;
  readonly keys: ClientKeys;
}
