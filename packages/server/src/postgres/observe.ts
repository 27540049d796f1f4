import {
  type Lsn,
  parseLsn,
  type PrimaryServer,
  type ReplicaServer,
  type ReplicationSender,
  type WalReceiver,
} from '@understudy/core/cluster';
import { type Connection, OBSERVER_NAME, type Row } from './connection.ts';
import { parseConninfo } from './conninfo.ts';
import { PostgresError } from './errors.ts';
import { readSlots, type Slot, slotsQuery } from './slots.ts';
import { sendersAgree } from './synchronous-names.ts';
import { listHistoryFiles, readTimelineHistory } from './timeline-files.ts';
import { walEnd } from './wal-end.ts';

/** What every running server tells. */
interface ServerIdentity {
  /** In decimal. */
  readonly systemId: string;
  /** When this life of the postmaster began, in milliseconds of the server's wall clock: tells one incarnation from the next. */
  readonly startedAtMs: number;
  /** server_version_num, e.g. 180004. */
  readonly serverVersion: number;
  /** synchronous_standby_names as the postmaster has read it. */
  readonly synchronousNames: string;
  readonly slots: readonly Slot[];
}

/** Where a replica's walreceiver is connected; null without one. */
interface ReceiverSource {
  readonly pid: number;
  /** starting, streaming, waiting, … as in pg_stat_wal_receiver. */
  readonly status: string;
  readonly senderHost: string | null;
  readonly senderPort: number | null;
  readonly receivedTimeline: number | null;
  readonly slotName: string | null;
  /** When its last message came, as the server writes it. */
  readonly receivedAt: string | null;
}

export type Observation = ServerIdentity & (PrimaryServer | (ReplicaServer & { readonly source: ReceiverSource | null }));

/** The order of these statements matters; see readReplica. */
const IDENTITY = `SELECT pg_catalog.pg_is_in_recovery() AS in_recovery, (SELECT system_identifier FROM pg_catalog.pg_control_system()) AS system_id,
  (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000)::pg_catalog.int8 AS started_at_ms,
  pg_catalog.current_setting('server_version_num') AS version, pg_catalog.current_setting('synchronous_standby_names') AS sync_names,
  pg_catalog.current_setting('primary_conninfo') AS conninfo`;
const STARTUP = `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type = 'startup' AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream')) AS waits`;
const RECEIVE = 'SELECT pg_catalog.pg_last_wal_receive_lsn() AS lsn';
const REPLAY = `SELECT pg_catalog.pg_last_wal_replay_lsn() AS lsn, CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_is_wal_replay_paused() END AS paused,
  (extract(epoch FROM pg_catalog.pg_last_xact_replay_timestamp()) * 1000)::pg_catalog.int8 AS commit_ms`;
const RECEIVER = `SELECT pid, status, last_msg_receipt_time::pg_catalog.text AS received_at, received_tli, sender_host, sender_port, slot_name, conninfo,
  (extract(epoch FROM pg_catalog.clock_timestamp() - last_msg_receipt_time) * 1000)::pg_catalog.int8 AS age_ms FROM pg_catalog.pg_stat_wal_receiver`;
const SENDERS = `SELECT application_name, state, sent_lsn, write_lsn, flush_lsn, replay_lsn, sync_priority FROM pg_catalog.pg_stat_replication
  WHERE application_name <> '${OBSERVER_NAME}' ORDER BY application_name LIMIT 100`;
const WRITE = `SELECT pg_catalog.pg_current_wal_insert_lsn() AS insert_lsn, pg_catalog.pg_current_wal_flush_lsn() AS flush_lsn,
  pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) AS segment WHERE NOT pg_catalog.pg_is_in_recovery()`;

/**
 * Looks at a running server. Histories of timelines are read from its data directory. Throws what the connection throws, and
 * `data-directory-corrupt` when a history is missing.
 */
export async function observe(connection: Connection, dataDirectory: string, major: number): Promise<Observation> {
  // A promotion in the middle of a look would mix two roles: then it is taken again, and there is no second promotion.
  const seen = (await look(connection, dataDirectory, major)) ?? (await look(connection, dataDirectory, major));
  if (!seen) throw new PostgresError('server-not-accepting', 'the server changes its role');
  return seen;
}

async function look(connection: Connection, dataDirectory: string, major: number): Promise<Observation | null> {
  const results = await connection.query([IDENTITY, STARTUP, RECEIVE, REPLAY, RECEIVER, SENDERS, WRITE, slotsQuery(major)].join(';'));
  const [identity, startup, receive, replay, receiver, senders, write, slots] = results.map(rows => rows as readonly Row[]);
  const row = identity?.[0];
  if (!row) throw new PostgresError('query-failed', 'the server answered without rows');
  const common = { ...readIdentity(row), slots: readSlots(slots ?? []) };
  if (row['in_recovery'] === 'f') {
    if (!write?.[0]) return null;
    return { ...common, ...(await readPrimary(dataDirectory, write[0], (senders ?? []).map(readSender), common)) };
  }
  const [replayTimeline, stillReplica] = await currentTimeline(connection);
  if (!stillReplica) return null;
  const replica = await readReplica(dataDirectory, {
    startup: startup?.[0],
    receive: receive?.[0],
    replay: replay?.[0],
    receiver: receiver?.[0],
    replayTimeline,
    conninfo: row['conninfo'] ?? '',
  });
  return { ...common, ...replica };
}

function readIdentity(row: Row): Omit<ServerIdentity, 'slots'> {
  return {
    systemId: row['system_id'] ?? '',
    startedAtMs: Number(row['started_at_ms']),
    serverVersion: Number(row['version']),
    synchronousNames: row['sync_names'] ?? '',
  };
}

/**
 * IDENTIFY_SYSTEM is the only exact word on the timeline that a standby replays: pg_control_checkpoint() lags behind by a restartpoint. It is asked
 * after the positions: what it says then is true of them too, since a standby only ever moves on.
 */
async function currentTimeline(connection: Connection): Promise<readonly [timeline: number, inRecovery: boolean]> {
  const [system] = await connection.query('IDENTIFY_SYSTEM');
  const [recovery] = await connection.query('SELECT pg_catalog.pg_is_in_recovery() AS in_recovery');
  return [Number(system?.[0]?.['timeline']), recovery?.[0]?.['in_recovery'] === 't'];
}

async function readPrimary(
  dataDirectory: string,
  write: Row,
  senders: readonly ReplicationSender[],
  common: Pick<ServerIdentity, 'synchronousNames' | 'slots'>,
): Promise<PrimaryServer> {
  const timeline = Number.parseInt((write['segment'] ?? '').slice(0, 8), 16);
  return {
    kind: 'primary',
    timeline,
    history: await readTimelineHistory(dataDirectory, timeline),
    insertLsn: parseLsn(write['insert_lsn'] ?? ''),
    flushLsn: parseLsn(write['flush_lsn'] ?? ''),
    senders,
    synchronousNames: common.synchronousNames,
    synchronousNamesInForce: sendersAgree(common.synchronousNames, senders),
    failoverSlots: common.slots.filter(slot => slot.kind === 'logical' && slot.failover).map(slot => slot.name),
  };
}

interface ReplicaRows {
  readonly startup: Row | undefined;
  readonly receive: Row | undefined;
  readonly replay: Row | undefined;
  readonly receiver: Row | undefined;
  readonly replayTimeline: number;
  readonly conninfo: string;
}

/**
 * The rows were read in this order, and the end of the WAL rests on it: a startup process that waited had replayed everything before the replay
 * position was read; and a received position that was reset to a segment's start (a new timeline) is followed by a replay position
 * that covers what had been received.
 */
async function readReplica(dataDirectory: string, rows: ReplicaRows): Promise<ReplicaServer & { source: ReceiverSource | null }> {
  const receiveLsn = lsnOrNull(rows.receive?.['lsn']);
  const replayLsn = lsnOrNull(rows.replay?.['lsn']);
  const source = rows.receiver ? readSource(rows.receiver) : null;
  const end = walEnd({
    receiveLsn,
    replayLsn,
    replayTimeline: rows.replayTimeline,
    receivedTimeline: source?.receivedTimeline ?? null,
    startupWaitsForWal: rows.startup?.['waits'] === 't',
    newestTimeline: (await listHistoryFiles(dataDirectory)).newest,
  });
  const timeline = end?.timeline ?? rows.replayTimeline;
  const history = await readTimelineHistory(dataDirectory, timeline);
  return {
    kind: 'replica',
    timeline,
    history,
    receiveLsn,
    replayLsn,
    walEnd: end && { ...end, history },
    receiver: rows.receiver ? readReceiver(rows.receiver) : null,
    source,
    replayPaused: rows.replay?.['paused'] === 't',
    ...readUpstream(rows.conninfo),
    replayedCommitAtMs: rows.replay?.['commit_ms'] == null ? null : Number(rows.replay['commit_ms']),
  };
}

function readUpstream(conninfo: string): Pick<ReplicaServer, 'followsAs' | 'followsAt'> {
  const { application_name: name = null, host = null, port = null } = parseConninfo(conninfo);
  return { followsAs: name, followsAt: host === null ? null : { host, port: Number(port ?? 5432) } };
}

function readReceiver(row: Row): WalReceiver {
  const age = row['age_ms'];
  return {
    applicationName: parseConninfo(row['conninfo'] ?? '')['application_name'] ?? '',
    streaming: row['status'] === 'streaming',
    lastMessageAgeMs: age == null ? Number.POSITIVE_INFINITY : Number(age),
  };
}

function readSource(row: Row): ReceiverSource {
  return {
    pid: Number(row['pid']),
    status: row['status'] ?? 'starting',
    senderHost: row['sender_host'] ?? null,
    senderPort: row['sender_port'] == null ? null : Number(row['sender_port']),
    receivedTimeline: row['received_tli'] == null ? null : Number(row['received_tli']),
    slotName: row['slot_name'] || null,
    receivedAt: row['received_at'] ?? null,
  };
}

function readSender(row: Row): ReplicationSender {
  return {
    applicationName: row['application_name'] ?? '',
    state: row['state'] ?? '',
    sentLsn: lsnOrNull(row['sent_lsn']),
    writeLsn: lsnOrNull(row['write_lsn']),
    flushLsn: lsnOrNull(row['flush_lsn']),
    replayLsn: lsnOrNull(row['replay_lsn']),
    syncPriority: Number(row['sync_priority']),
  };
}

function lsnOrNull(text: string | null | undefined): Lsn | null {
  return text == null ? null : parseLsn(text);
}
