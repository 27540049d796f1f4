import type { FailoverConfig } from './config.ts';
import type { LogLevel } from './event-levels.ts';
import type { PostgresSettings } from './postgres-settings.ts';

/** The fewest and the most replicas that `up` makes: with none there is nothing to fail over to. */
export const REPLICAS_MIN = 1;
export const REPLICAS_MAX = 15;

/** How fresh a read must be; see the glossary. */
export const CONSISTENCY_LEVELS = ['strong', 'session', 'bounded', 'eventual'] as const;
export type ConsistencyLevel = (typeof CONSISTENCY_LEVELS)[number];

export interface RoutingSettings {
  readonly freshWaitMs: number;
  readonly onStale: 'wait' | 'primary' | 'error';
  readonly maxLagMs: number;
  readonly readsOnPrimary: 'never' | 'fallback' | 'share';
  readonly replicaMaxLagMs: number | null;
  readonly replicaMaxLagBytes: number | null;
  readonly zone: string | null;
  readonly allowFunctions: readonly string[];
  readonly denyFunctions: readonly string[];
  readonly roleConsistency: Readonly<Record<string, ConsistencyLevel>>;
  readonly databaseConsistency: Readonly<Record<string, ConsistencyLevel>>;
}

/** auto: TLS is offered where the router listens beyond this machine. */
export const TLS_MODES = ['off', 'auto', 'on', 'require'] as const;

export interface TlsSettings {
  readonly mode: (typeof TLS_MODES)[number];
  readonly cert: string | null;
  readonly key: string | null;
  readonly clientCa: string | null;
}

/** Of a new cluster that is to follow another one. */
export interface StandbySettings {
  /** Where the other one is, as a connection string; null: an ordinary cluster. */
  readonly of: string | null;
  /** Its secrets: the copy has its roles with their passwords. */
  readonly secrets: string | null;
  readonly passwordFile: string | null;
}

export interface ProxySettings {
  readonly loginTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly idleInTransactionTimeoutMs: number;
  readonly queryTimeoutMs: number;
  readonly drainTimeoutMs: number;
  /** Null: one. */
  readonly workers: number | null;
  readonly maxClients: number;
  readonly maxHeld: number;
  readonly holdTimeoutMs: number;
  readonly poolMode: 'auto' | 'transaction' | 'session';
  readonly poolSize: number;
  readonly maxServerConnections: number;
  readonly queueTimeoutMs: number;
  readonly serverIdleMs: number;
  readonly lanes: 'on' | 'off';
}

/** Everything that can be configured, complete and checked. */
export interface Settings {
  readonly cluster: string;
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly httpHost: string;
  readonly httpPort: number;
  readonly memberPort: number;
  readonly replicas: number;
  readonly provider: 'embedded' | 'system';
  readonly binDir: string | null;
  /** Of every server; applied while it runs where PostgreSQL can. */
  readonly postgres: PostgresSettings;
  readonly durability: 'quorum' | 'async';
  readonly acks: number;
  readonly whenAlone: 'continue' | 'block';
  readonly acksFrom: 'any-zone' | 'other-zones';
  readonly maxLossBytes: number;
  readonly consistency: ConsistencyLevel;
  readonly routing: RoutingSettings;
  readonly tls: TlsSettings;
  readonly standby: StandbySettings;
  readonly proxy: ProxySettings;
  readonly failover: FailoverConfig;
  readonly logLevel: LogLevel;
  readonly logFormat: 'auto' | 'pretty' | 'json';
}
