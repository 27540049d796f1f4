import { Socket } from 'node:net';
import pg from 'pg';
import { SUPERUSER } from './credentials.ts';
import { errnoOf, PostgresError } from './errors.ts';

/** How to reach a server as its superuser. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** `postgres` unless told otherwise. */
  readonly user?: string;
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
  const socket = new Socket();
  let stopped: unknown = null;
  const stop = (reason: unknown): void => {
    stopped ??= reason;
    socket.destroy();
  };
  const { deadlineMs, signal } = options;
  const onAbort = (): void => stop(signal?.reason);
  const timer = deadlineMs === null ? null : setTimeout(() => stop(unresponsive(endpoint, deadlineMs)), deadlineMs);
  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort, { once: true });
  const client = newClient(endpoint, options, socket);
  try {
    await client.connect();
    return await use({ client, socket, query: text => query(client, text) });
  } catch (error) {
    throw stopped ?? translate(endpoint, error);
  } finally {
    if (timer) clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    // Says goodbye where somebody listens, and closes the socket without waiting for an answer.
    client.end().catch(() => undefined);
    socket.destroySoon();
  }
}

function newClient(endpoint: Endpoint, options: ConnectionOptions, socket: Socket): pg.Client {
  const config: pg.ClientConfig & { replication: string } = {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user ?? SUPERUSER,
    password: endpoint.password,
    database: 'postgres',
    ssl: false,
    application_name: options.applicationName ?? OBSERVER_NAME,
    options: '-c search_path=pg_catalog -c client_encoding=UTF8',
    replication: 'database',
    types: AS_TEXT,
    stream: () => socket,
  };
  const client = new pg.Client(config);
  // Every failure is also reported by the call that it interrupts.
  client.on('error', () => undefined);
  return client;
}

async function query(client: pg.Client, text: string): Promise<readonly (readonly Row[])[]> {
  const result = (await client.query(text)) as pg.QueryResult<Row> | pg.QueryResult<Row>[];
  return (Array.isArray(result) ? result : [result]).map(({ rows }) => rows);
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
  if (message.startsWith('Connection terminated')) return new PostgresError('server-not-accepting', `${at}: ${message}`, { cause: error });
  return error;
}
