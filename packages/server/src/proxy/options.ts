import type { ReadPolicy } from '@understudy/core/routing';
import type { ConsistencyWish } from '@understudy/core/sql';
import type { TlsMaterial } from './client-tls.ts';
import type { ServerTls } from './server-tls.ts';

/** Whence the proxy has the SCRAM verifiers of the roles that log in to it. They must be the servers' own: it logs in to them with what clients prove. */
export type SecretSource =
  /** The function understudy.user_secret, which the router's role may call. */
  | { readonly kind: 'function' }
  /** pg_authid, which the router's role may read. */
  | { readonly kind: 'catalog' }
  /** Roles by name with their passwords, or verifiers as pg_authid has them; nobody else may log in. */
  | { readonly kind: 'users'; readonly passwords: Readonly<Record<string, string>> };

/** What a proxy must be told. Times in milliseconds, sizes in bytes. */
export interface ProxyOptions {
  /** Address to listen on, and port; 0 takes a free one. */
  readonly host: string;
  readonly port: number;
  /** Threads that serve clients; null: see {@link workersFor}. */
  readonly workers: number | null;
  /** The role that looks up secrets, asks for log positions and is used for nothing else. */
  readonly router: { readonly user: string; readonly password: string; readonly database: string };
  readonly secrets: SecretSource;
  /** TLS to the servers; null: in the clear. */
  readonly serverTls: ServerTls | null;
  /** Null answers SSLRequest with 'N'. */
  readonly tls: TlsMaterial | null;
  readonly consistency: ConsistencyWish;
  /** Bound of `bounded` reads. */
  readonly maxLagMs: number;
  /** How long a read waits for a replica that is fresh enough before the primary takes it. */
  readonly freshWaitMs: number;
  /** What becomes of a read when no replica is fresh enough; see ReadPolicy. */
  readonly onStale: ReadPolicy['onStale'];
  readonly readsOnPrimary: ReadPolicy['readsOnPrimary'];
  /** A replica further behind takes no reads at all, whatever their level; null: no limit. */
  readonly replicaMaxLagMs: number | null;
  readonly replicaMaxLagBytes: number | null;
  /** The router's own zone, whose replicas are preferred; null: zones do not matter. */
  readonly zone: string | null;
  /** Functions that the operator knows better; see FunctionOverrides. */
  readonly functions: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  /** Levels for the sessions of a role or a database that ask for none; a role's counts before a database's. */
  readonly levels: {
    readonly roles: Readonly<Record<string, ConsistencyWish>>;
    readonly databases: Readonly<Record<string, ConsistencyWish>>;
  };
  /** How long work waits for a primary before it is refused with 57P03. */
  readonly holdTimeoutMs: number;
  /** Statements that may wait for a primary at once. */
  readonly maxHeld: number;
  readonly maxClients: number;
  /**
   * When a session gives its server connection back: `auto` after each transaction, as long as nothing ties it to the connection; `transaction`
   * after each transaction whatever it holds; `session` when the client leaves.
   */
  readonly poolMode: 'auto' | 'transaction' | 'session';
  /** Connections to one server for one user and database. */
  readonly poolSize: number;
  /** Connections to one server in all. */
  readonly maxServerConnections: number;
  /** How long a client waits for a server connection, and how many may wait for one of a pool. */
  readonly queueTimeoutMs: number;
  readonly maxWaiting: number;
  /** A server connection that nobody has used for so long is closed. */
  readonly serverIdleMs: number;
  /** Whether quick reads of several clients share a connection as a pipeline. */
  readonly lanes: 'on' | 'off';
  /** Prepared statements kept on one server connection. */
  readonly maxServerStatements: number;
  /** From the first byte to the end of authentication. */
  readonly loginTimeoutMs: number;
  /** A client that sends nothing for so long is let go; 0 is never. */
  readonly idleTimeoutMs: number;
  /** The same within an open transaction. */
  readonly idleInTransactionTimeoutMs: number;
  /** A statement that has been under way for so long, waiting included, is cancelled; 0 is never. */
  readonly queryTimeoutMs: number;
  /** To connect and log in to a server. */
  readonly connectTimeoutMs: number;
  /** The first refused login of a role from an address is answered this late, to slow guessing down; see LoginPenalties. */
  readonly failureDelayMs: number;
  /** How long a role's secret is believed while no server can be asked for it. */
  readonly secretTtlMs: number;
  readonly maxSecrets: number;
  /** Greatest message that a client may send, rows of COPY apart. */
  readonly maxMessageBytes: number;
  /** Bytes of a client's statements that may wait in the proxy before it stops reading from that client. */
  readonly maxQueuedBytes: number;
  /** A unit of work larger than this is not kept for a second try on another server. */
  readonly maxRetryBytes: number;
}

export const DEFAULT_PROXY_OPTIONS: Omit<ProxyOptions, 'router'> = {
  host: '127.0.0.1',
  port: 5432,
  workers: null,
  secrets: { kind: 'function' },
  serverTls: null,
  tls: null,
  consistency: 'strong',
  maxLagMs: 1_000,
  freshWaitMs: 20,
  onStale: 'wait',
  readsOnPrimary: 'fallback',
  replicaMaxLagMs: null,
  replicaMaxLagBytes: null,
  zone: null,
  functions: { allow: [], deny: [] },
  levels: { roles: {}, databases: {} },
  holdTimeoutMs: 30_000,
  maxHeld: 10_000,
  maxClients: 10_000,
  poolMode: 'auto',
  poolSize: 50,
  maxServerConnections: 150,
  queueTimeoutMs: 30_000,
  maxWaiting: 100_000,
  serverIdleMs: 60_000,
  lanes: 'on',
  maxServerStatements: 500,
  loginTimeoutMs: 15_000,
  idleTimeoutMs: 0,
  idleInTransactionTimeoutMs: 0,
  queryTimeoutMs: 0,
  connectTimeoutMs: 5_000,
  failureDelayMs: 250,
  secretTtlMs: 60_000,
  maxSecrets: 10_000,
  maxMessageBytes: 256 * 1024 * 1024,
  maxQueuedBytes: 1024 * 1024,
  maxRetryBytes: 256 * 1024,
};

/** One, where nothing else is said: where router and servers share a few processors, another thread would take its time from the servers. */
export function workersFor({ workers }: Pick<ProxyOptions, 'workers'>): number {
  return workers ?? 1;
}

/** What one of several workers is told: connections to servers, and waits for them, are shared out. Clients are counted together. */
export function shareOf(options: ProxyOptions, workers: number): ProxyOptions {
  const share = (total: number): number => Math.ceil(total / workers);
  return {
    ...options,
    poolSize: share(options.poolSize),
    maxServerConnections: share(options.maxServerConnections),
    maxWaiting: share(options.maxWaiting),
    maxHeld: share(options.maxHeld),
  };
}
