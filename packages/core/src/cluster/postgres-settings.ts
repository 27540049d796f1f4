/** PostgreSQL's own settings as an operator says them (`postgres:` of a configuration file): names in lower case, values as text. */
export type PostgresSettings = Readonly<Record<string, string>>;

/** Why an operator may not set what Understudy sets itself. */
const REASONS = {
  address: 'each member listens where `host` and `memberPort` say',
  files: 'Understudy keeps these files in the data directory',
  login: 'members and routers log in by SCRAM, and by certificates of the cluster',
  log: 'the agent keeps and bounds the log of its server, and reads it',
  durability: 'what was acknowledged must survive a crash',
  replication: 'failover rests on how members stream from each other',
  recovery: 'Understudy decides what a server recovers, and until when',
  restart: 'the agent must see the end of a server at once',
  directive: 'it is no setting: put what the file says here',
} as const;

type Reason = keyof typeof REASONS;

/** Everything that understudy.conf sets, and what would work against it. */
const OWNED: Readonly<Record<string, Reason>> = {
  listen_addresses: 'address',
  port: 'address',
  unix_socket_directories: 'address',
  data_directory: 'files',
  config_file: 'files',
  hba_file: 'files',
  ident_file: 'files',
  external_pid_file: 'files',
  password_encryption: 'login',
  ssl: 'login',
  ssl_ca_file: 'login',
  ssl_cert_file: 'login',
  ssl_key_file: 'login',
  ssl_min_protocol_version: 'login',
  lc_messages: 'log',
  logging_collector: 'log',
  log_destination: 'log',
  fsync: 'durability',
  full_page_writes: 'durability',
  synchronous_commit: 'durability',
  wal_level: 'replication',
  wal_log_hints: 'replication',
  hot_standby: 'replication',
  max_wal_senders: 'replication',
  max_replication_slots: 'replication',
  wal_keep_size: 'replication',
  max_slot_wal_keep_size: 'replication',
  wal_retrieve_retry_interval: 'replication',
  wal_receiver_timeout: 'replication',
  wal_sender_timeout: 'replication',
  wal_receiver_status_interval: 'replication',
  tcp_keepalives_idle: 'replication',
  tcp_keepalives_interval: 'replication',
  tcp_keepalives_count: 'replication',
  synchronous_standby_names: 'replication',
  primary_conninfo: 'replication',
  primary_slot_name: 'replication',
  sync_replication_slots: 'replication',
  synchronized_standby_slots: 'replication',
  restore_command: 'recovery',
  recovery_min_apply_delay: 'recovery',
  promote_trigger_file: 'recovery',
  restart_after_crash: 'restart',
  include: 'directive',
  include_if_exists: 'directive',
  include_dir: 'directive',
};

/** All names that `postgres:` refuses, for the test that compares them with what is written into understudy.conf. */
export const OWNED_POSTGRES_SETTINGS: readonly string[] = Object.keys(OWNED);

/** One that belongs to a module has a dot. */
const NAME = /^[a-z_][a-z0-9_$]{0,62}(\.[a-z_][a-z0-9_$]{0,62})?$/;
/** The most settings of one map. */
export const POSTGRES_SETTINGS_LIMIT = 200;
const VALUE_LIMIT = 1000;

/** What is wrong with one setting, as the end of a sentence that begins with its name; null: nothing that can be seen without PostgreSQL. */
export function postgresSettingFault(name: string, value: string): string | null {
  if (!NAME.test(name)) return 'is not the name of a PostgreSQL setting';
  const owner = OWNED[name] ?? (name.startsWith('recovery_target') ? 'recovery' : null);
  if (owner !== null) return `is set by Understudy itself: ${REASONS[owner]}`;
  if (value.length > VALUE_LIMIT) return `is longer than ${VALUE_LIMIT} characters`;
  return /[\n\r\0]/.test(value) ? 'must be one line' : null;
}

/** As PostgreSQL's files have it: names in lower case, every value as text. What is none is left for the check that follows. */
export function normalPostgresSettings(map: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name.toLowerCase(), textOf(value)]));
}

function textOf(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  return typeof value === 'number' ? String(value) : value;
}

/**
 * Settings of which a replica must not have less than its primary, or it does not start, and stops replaying while it runs
 * (CheckRequiredParameterValues in xlogrecovery.c).
 */
export const HOT_STANDBY_SETTINGS = [
  'max_connections',
  'max_worker_processes',
  'max_wal_senders',
  'max_prepared_transactions',
  'max_locks_per_transaction',
] as const;
