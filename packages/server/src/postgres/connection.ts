import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import type { ConnectionOptions as ConnectionOptionsOfTls } from 'node:tls';
import type { SourceTls } from '@understudy/core/cluster';
import pg from 'pg';
import type { Account } from './account.ts';
import { SUPERUSER } from './credentials.ts';
import { errnoOf, PostgresError } from './errors.ts';
import { socketAs } from './socket-as.ts';
import type { TlsSources } from './tls-files.ts';

/** How to reach a server as its superuser. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** `postgres` unless told otherwise. */
  readonly user?: string;
  /** For `peer` on a Unix socket (`host` is its directory then): connected as this account. */
  readonly as?: Account | null;
  /** This machine's certificate, for a server on another one; null: in the clear. */
  readonly tls?: TlsSources | SourceTls | null;
}

export type Row = Readonly<Record<string, string | null>>;

/**
 * A fresh connection: it proves that the server still takes new ones, which an old connection does not (a stopped postmaster looks
 * well through it). Always a walsender connection to the database `postgres`: that has slots of its own (max_wal_senders), so clients
 * cannot crowd it out, and it speaks SQL as well as the replication commands. All values arrive as text.
 */
export interface Connection {
  /** Runs one or several statements in order (simple protocol) and gives the rows of each. */
  query(text: string): Promise<readonly (readonly Row[])[]>;
  readonly client: pg.Client;
  readonly socket: Socket;
  /** What the answers come from: the socket, or TLS on it. */
  readonly stream: Socket;
}

export interface ConnectionOptions {
  /** The whole use, from the TCP connection to the last answer, ends by then; null: only `signal` ends it. */
  readonly deadlineMs: number | null;
  readonly applicationName?: string;
  readonly signal?: AbortSignal;
}

export const OBSERVER_NAME = 'understudy_observer';

/** Text as it came: LSNs, 64-bit numbers and times are read by whoever asked. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/**
 * Opens a fresh connection, uses it and closes it. Nothing outlives the deadline: the socket is destroyed then, whatever the server does.
 * Functions and operators are those of pg_catalog only, since anybody may have put others into `public`.
 * Throws `server-unresponsive`, `connection-refused`, `server-not-accepting`, `authentication-failed`, `query-failed`.
 */
export async function withConnection<T>(
  endpoint: Endpoint,
  options: ConnectionOptions,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const opened = new OpenedConnection(endpoint, options.applicationName);
  try {
    return await opened.during(options, async () => {
      await opened.client.connect();
      return await use(opened);
    });
  } finally {
    opened.close();
  }
}

/** One connection to a server, for one or for several uses. It connects with `client.connect()`, within the first use. */
export class OpenedConnection implements Connection {
  readonly client: pg.Client;
  readonly socket: Socket;
  readonly #endpoint: Endpoint;
  #stopped: unknown = null;
  #isBroken = false;

  constructor(endpoint: Endpoint, applicationName: string = OBSERVER_NAME) {
    this.#endpoint = endpoint;
    this.socket = socketAs(endpoint.as ?? null);
    this.client = newClient(endpoint, applicationName, this.socket);
    // Every failure is also reported by the call that it interrupts, if there is one.
    this.client.on('error', () => {
      this.#isBroken = true;
    });
  }

  /** Whether it can be used no more: the server or we ourselves have ended it. */
  get isClosed(): boolean {
    return this.#isBroken || this.socket.destroyed || this.socket.readableEnded || this.socket.writableEnded;
  }

  /** One use within its own deadline; when that passes, or the signal comes, the connection is gone. Throws as withConnection does. */
  async during<T>({ deadlineMs, signal }: Omit<ConnectionOptions, 'applicationName'>, use: () => Promise<T>): Promise<T> {
    const stop = (reason: unknown): void => {
      this.#stopped ??= reason;
      this.socket.destroy();
    };
    const onAbort = (): void => stop(signal?.reason);
    const timer = deadlineMs === null ? null : setTimeout(() => stop(unresponsive(this.#endpoint, deadlineMs)), deadlineMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      return await use();
    } catch (error) {
      throw this.#stopped ?? translate(this.#endpoint, error);
    } finally {
      if (timer) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get stream(): Socket {
    return this.client.connection.stream as Socket;
  }

  async query(text: string): Promise<readonly (readonly Row[])[]> {
    const result = (await this.client.query(text)) as pg.QueryResult<Row> | pg.QueryResult<Row>[];
    return (Array.isArray(result) ? result : [result]).map(({ rows }) => rows);
  }

  /** Says goodbye where somebody listens, and closes the socket without waiting for an answer. */
  close(): void {
    this.client.end().catch(() => undefined);
    this.socket.destroySoon();
  }
}

function newClient(endpoint: Endpoint, applicationName: string, socket: Socket): pg.Client {
  const config: pg.ClientConfig & { replication: string } = {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user ?? SUPERUSER,
    password: endpoint.password,
    database: 'postgres',
    ssl: endpoint.tls ? ('mode' in endpoint.tls ? tlsToSource(endpoint.tls) : tlsOf(endpoint.tls)) : false,
    application_name: applicationName,
    // A timeout that somebody has set for clients is not meant for who watches over the server.
    options: '-c search_path=pg_catalog -c client_encoding=UTF8 -c statement_timeout=0 -c idle_session_timeout=0',
    replication: 'database',
    types: AS_TEXT,
    stream: () => socket,
  };
  return new pg.Client(config);
}

/** As a stream is secured (see settings.ts): whoever has a certificate of the cluster's authority is a machine of the cluster. */
function tlsOf({ ca, cert, key }: TlsSources): ConnectionOptionsOfTls {
  return {
    ca: readFileSync(ca, 'utf8'),
    cert: readFileSync(cert, 'utf8'),
    key: readFileSync(key, 'utf8'),
    minVersion: 'TLSv1.2',
    checkServerIdentity: () => undefined,
  };
}

/** As libpq does it for the same sslmode. */
function tlsToSource({ mode, rootCert, cert, key }: SourceTls): ConnectionOptionsOfTls | false {
  if (mode === 'disable') return false;
  return {
    ...(rootCert === null ? {} : { ca: readFileSync(rootCert, 'utf8') }),
    ...(cert === null || key === null ? {} : { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }),
    minVersion: 'TLSv1.2',
    ...(mode === 'require' ? { rejectUnauthorized: false } : {}),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function unresponsive({ host, port }: Endpoint, deadlineMs: number): PostgresError {
  return new PostgresError('server-unresponsive', `${host}:${port} did not answer within ${deadlineMs} ms`);
}

const NETWORK_ERRORS: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

function translate({ host, port }: Endpoint, error: unknown): unknown {
  if (error instanceof PostgresError) return error;
  const at = `${host}:${port}`;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof pg.DatabaseError) {
    // cannot_connect_now, admin_shutdown, crash_shutdown: starting up, stopping, or not yet consistent.
    if (error.code === '57P03' || error.code === '57P01' || error.code === '57P02')
      return new PostgresError('server-not-accepting', `${at}: ${message}`, { cause: error });
    if (error.code?.startsWith('28')) return new PostgresError('authentication-failed', `${at}: ${message}`, { cause: error });
    return new PostgresError('query-failed', `${at}: ${message}`, { cause: error, ...(error.detail ? { detail: error.detail } : {}) });
  }
  if (NETWORK_ERRORS.has(errnoOf(error) ?? '')) return new PostgresError('connection-refused', `${at}: ${message}`, { cause: error });
  // pg's own words for a connection that ended during a query, or before it.
  if (message.startsWith('Connection terminated') || message.includes('is not queryable'))
    return new PostgresError('server-not-accepting', `${at}: ${message}`, { cause: error });
  return error;
}
