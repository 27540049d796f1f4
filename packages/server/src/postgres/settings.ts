import {
  type HOT_STANDBY_SETTINGS,
  parseFollowName,
  parseStreamName,
  type PostgresSettings,
  type SourceSpec,
  type SourceTls,
} from '@understudy/core/cluster';
import { slotName } from '@understudy/core/failover';
import { formatConninfo } from './conninfo.ts';
import { renderSynchronousNames, type SynchronousNames } from './synchronous-names.ts';
import { tlsPaths, type TlsSources } from './tls-files.ts';

/** From whom a replica streams. */
export interface Upstream {
  readonly host: string;
  readonly port: number;
  /** Carries member and term, e.g. n2_t7: an older primary's rule does not know the name, so it cannot be acknowledged by accident. */
  readonly applicationName: string;
  /** Physical slot on the upstream, or null. */
  readonly slotName: string | null;
  /** Of a server of another cluster, which this one is a standby of: as whom it is asked, and how that is secured. */
  readonly source?: SourceSpec;
}

/** What changes during a server's life; kept in understudy.conf itself, so that a restarted agent reads back what is in force. */
export interface ReplicationSettings {
  readonly synchronousNames: SynchronousNames;
  /** Null: follows nobody. */
  readonly upstream: Upstream | null;
}

export const ISOLATED: ReplicationSettings = { synchronousNames: { kind: 'blocked' }, upstream: null };

/** What is fixed while a server runs. */
export interface ServerSettings {
  readonly port: number;
  /** listen_addresses; `127.0.0.1` unless told otherwise. */
  readonly listenAddress: string;
  /** What the operator has set, after the defaults. */
  readonly operator: PostgresSettings;
  readonly walLevel: 'replica' | 'logical';
  /** max_wal_size, in MiB: how much WAL a checkpoint may be put off for. */
  readonly maxWalMb: number;
  /** max_slot_wal_keep_size: what the slots of absent members may hold back, in MiB. */
  readonly slotWalKeepMb: number;
  /** wal_keep_size, in MiB: kept for members without a slot. */
  readonly walKeepMb: number;
  /** recovery_min_apply_delay, in milliseconds: above 0 on a delayed replica. */
  readonly applyDelayMs: number;
  /** Where this machine's certificate lies, readable to the server's account (see tls-files.ts); null: no TLS between members. */
  readonly tlsDirectory: string | null;
  /** What an adopted server keeps of its own; null: Understudy has made it. */
  readonly adopted: KeptSettings | null;
}

/** Settings of an adopted server that what Understudy sets must not take away from those who use them. */
export interface KeptSettings {
  /** listen_addresses. */
  readonly listenAddresses: string;
  /** unix_socket_directories. */
  readonly socketDirectories: readonly string[];
  readonly maxWalSenders: number;
  readonly maxReplicationSlots: number;
}

/** max_wal_senders and max_replication_slots, at the least. */
const STREAMS = 32;

export const DEFAULT_SETTINGS: Omit<ServerSettings, 'port'> = {
  listenAddress: '127.0.0.1',
  operator: {},
  walLevel: 'logical',
  maxWalMb: 2048,
  slotWalKeepMb: 4096,
  walKeepMb: 128,
  applyDelayMs: 0,
  tlsDirectory: null,
  adopted: null,
};

/** How much WAL may lie about on a disk of this size: the defaults, and on a small disk a part of it, so that WAL alone does not fill it. */
export function walLimits(diskSizeBytes: number): Pick<ServerSettings, 'maxWalMb' | 'slotWalKeepMb' | 'walKeepMb'> {
  const share = (part: number, leastMb: number, mostMb: number): number =>
    Math.min(mostMb, Math.max(leastMb, Math.floor((diskSizeBytes * part) / 1024 ** 2)));
  return {
    maxWalMb: share(0.1, 96, DEFAULT_SETTINGS.maxWalMb),
    slotWalKeepMb: share(0.25, 96, DEFAULT_SETTINGS.slotWalKeepMb),
    walKeepMb: share(0.05, 32, DEFAULT_SETTINGS.walKeepMb),
  };
}

/** What this member's machine shows others; null: nothing there is encrypted. */
export function tlsOfMember({ tlsDirectory }: ServerSettings): TlsSources | null {
  return tlsDirectory === null ? null : tlsPaths(tlsDirectory);
}

export const REPLICATION_ROLE = 'understudy_replication';

/** A configuration-file string: quotes doubled, backslashes too since the file's own scanner reads them (guc-file.l). */
export function quoteSetting(value: string): string {
  return `'${value.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;
}

/** The value of primary_conninfo. The password is in a file of its own (see passfile.ts), so that taking the file away takes the right to stream away. */
export function primaryConninfo(upstream: Upstream, passfile: string, tlsDirectory: string | null): string {
  return formatConninfo({
    host: upstream.host,
    port: String(upstream.port),
    user: upstream.source?.user ?? REPLICATION_ROLE,
    passfile,
    // Needed by sync_replication_slots, ignored by a walreceiver.
    dbname: 'postgres',
    application_name: upstream.applicationName,
    connect_timeout: '2',
    keepalives: '1',
    keepalives_idle: '1',
    keepalives_interval: '1',
    keepalives_count: '2',
    tcp_user_timeout: '2500',
    ...(upstream.source?.tls ? sourceTls(upstream.source.tls) : streamTls(tlsDirectory)),
  });
}

/**
 * The authority is the cluster's own: whoever has a certificate of it is a machine of the cluster, so its name need not be looked at (libpq knows
 * addresses in certificates since 15 only).
 */
export function streamTls(directory: string | null): Record<string, string> {
  if (directory === null) return { sslmode: 'prefer' };
  const { ca, cert, key } = tlsPaths(directory);
  return { sslmode: 'verify-ca', sslrootcert: ca, sslcert: cert, sslkey: key };
}

function sourceTls({ mode, rootCert, cert, key }: SourceTls): Record<string, string> {
  const files = { sslrootcert: rootCert, sslcert: cert, sslkey: key };
  const named = Object.entries(files).filter((entry): entry is [string, string] => entry[1] !== null);
  return { sslmode: mode, ...Object.fromEntries(named) };
}

/** What this server has of the settings of which a standby must not have less than its primary, unless the operator says otherwise. */
export const HOT_STANDBY_DEFAULTS: Readonly<Record<(typeof HOT_STANDBY_SETTINGS)[number], string>> = {
  max_connections: '200',
  max_worker_processes: '8',
  max_wal_senders: '32',
  max_prepared_transactions: '0',
  max_locks_per_transaction: '64',
};

/** Settings that a user's own file may override: the defaults, then what the operator has set for all members. An adopted server has its own defaults. */
export function renderDefaults(settings: ServerSettings): string {
  if (settings.adopted !== null)
    return renderLines('`postgres:` of the configuration of Understudy; written anew by it.', Object.entries(settings.operator));
  return renderLines(
    'Defaults of Understudy, then `postgres:` of its configuration; written anew by it. To change one here alone, set it in user.conf.',
    [
      ['max_connections', HOT_STANDBY_DEFAULTS.max_connections],
      ['shared_buffers', '128MB'],
      // A replica's queries may not hold back its replay for long: fresh reads and a promotion wait for it. Refused reads are run again on the primary.
      ['max_standby_streaming_delay', '1s'],
      // A delayed one would hold back the primary's vacuum by its whole delay.
      ['hot_standby_feedback', settings.applyDelayMs > 0 ? 'off' : 'on'],
      // The place in the log that a fresh read must have reached may lie behind records that no commit flushes: they should not wait 200 ms.
      ['wal_writer_delay', '10ms'],
      ['checkpoint_timeout', '5min'],
      ['max_wal_size', `${settings.maxWalMb}MB`],
      ['log_line_prefix', '%m [%p] %q%u@%d '],
      ['log_checkpoints', 'off'],
      ['log_min_messages', 'warning'],
      ...Object.entries(settings.operator),
    ],
  );
}

/**
 * understudy.conf: the settings that failover rests on, included last so that no other file overrides them. Pure.
 * `passfile` is where the upstream's password lies.
 */
export function renderConfig(major: number, settings: ServerSettings, replication: ReplicationSettings, passfile: string): string {
  const { upstream } = replication;
  const lines: [string, string][] = [
    ['listen_addresses', settings.adopted?.listenAddresses ?? settings.listenAddress],
    ['port', String(settings.port)],
    ['password_encryption', 'scram-sha-256'],
    ['lc_messages', 'C'],
    ['logging_collector', 'off'],
    ['log_destination', 'stderr'],
    ['fsync', 'on'],
    ['full_page_writes', 'on'],
    ['synchronous_commit', 'on'],
    ['wal_level', settings.walLevel],
    ['wal_log_hints', 'on'],
    ['hot_standby', 'on'],
    ['max_wal_senders', String(Math.max(Number(HOT_STANDBY_DEFAULTS.max_wal_senders), settings.adopted?.maxWalSenders ?? 0))],
    ['max_replication_slots', String(Math.max(STREAMS, settings.adopted?.maxReplicationSlots ?? 0))],
    ['wal_keep_size', `${settings.walKeepMb}MB`],
    ['max_slot_wal_keep_size', `${settings.slotWalKeepMb}MB`],
    // The default of 5 s alone makes a restarted primary wait that long for its replicas.
    ['wal_retrieve_retry_interval', '20ms'],
    // A quiet stream is asked for a sign of life at half of this: often enough to prove, within the veto's time, that a primary lives.
    ['wal_receiver_timeout', '2000ms'],
    ['wal_sender_timeout', '2000ms'],
    ['wal_receiver_status_interval', '1s'],
    ['tcp_keepalives_idle', '5'],
    ['tcp_keepalives_interval', '1'],
    ['tcp_keepalives_count', '3'],
    ['recovery_target_timeline', 'latest'],
    // WAL from an archive would come to a replica that has promised to take none.
    ['restore_command', ''],
    ['recovery_min_apply_delay', `${settings.applyDelayMs}ms`],
    // One life of the postmaster is one incarnation: restarting by itself after a crashed backend would reset shared memory (the received
    // position, the flag that makes commits wait) behind the agent's back. It ends instead, which the agent sees at once.
    ['restart_after_crash', 'off'],
    ['synchronous_standby_names', renderSynchronousNames(replication.synchronousNames)],
    ['primary_conninfo', upstream ? primaryConninfo(upstream, passfile, settings.tlsDirectory) : ''],
    ['primary_slot_name', upstream?.slotName ?? ''],
  ];
  if (settings.tlsDirectory !== null) {
    const { ca, cert, key } = tlsPaths(settings.tlsDirectory);
    lines.push(['ssl', 'on'], ['ssl_ca_file', ca], ['ssl_cert_file', cert], ['ssl_key_file', key], ['ssl_min_protocol_version', 'TLSv1.2']);
  }
  if (major >= 17) {
    // Only a primary's can be copied: from another replica PostgreSQL would try in vain for ever.
    const fromPrimary = upstream?.slotName && parseFollowName(upstream.applicationName)?.upstream === null;
    lines.push(['sync_replication_slots', fromPrimary && settings.walLevel === 'logical' ? 'on' : 'off']);
    lines.push(['synchronized_standby_slots', slotsOf(replication.synchronousNames).join(', ')]);
  }
  const text = renderLines('Owned by Understudy and rewritten by it. Put your own settings into user.conf.', lines);
  return `${STATE_PREFIX}${JSON.stringify(replication)}\n${text}`;
}

/**
 * The physical slots of the cohort. A consumer of a logical failover slot gets nothing that not all of these hold, so whoever is elected has what it has seen:
 * otherwise it would be ahead of the new primary, and what is written there instead would be a gap to it.
 */
function slotsOf(names: SynchronousNames): readonly string[] {
  if (names.kind !== 'quorum') return [];
  return names.names.flatMap(name => parseStreamName(name)?.id ?? []).map(slotName);
}

/** The names of the settings that only understudy.conf may hold. */
export function ownedSettings(major: number): ReadonlySet<string> {
  const text = renderConfig(major, { ...DEFAULT_SETTINGS, port: 1 }, ISOLATED, '');
  return new Set([...text.matchAll(/^(\w+) = /gm)].map(match => match[1] as string));
}

const STATE_PREFIX = '# state: ';

/** Reads the replication settings back out of an understudy.conf; null when its first line is not ours. */
export function readReplicationSettings(config: string): ReplicationSettings | null {
  const line = config.split('\n', 1)[0] ?? '';
  if (!line.startsWith(STATE_PREFIX)) return null;
  try {
    return JSON.parse(line.slice(STATE_PREFIX.length)) as ReplicationSettings;
  } catch {
    return null;
  }
}

function renderLines(comment: string, lines: readonly (readonly [string, string])[]): string {
  return `# ${comment}\n${lines.map(([name, value]) => `${name} = ${quoteSetting(value)}\n`).join('')}`;
}
