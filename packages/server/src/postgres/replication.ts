import type { Account } from './account.ts';
import type { Connection, Row } from './connection.ts';
import type { Credentials } from './credentials.ts';
import { errnoOf, PostgresError } from './errors.ts';
import type { MemberPaths } from './layout.ts';
import { grantStreaming, passfilePath, revokeStreaming } from './passfile.ts';
import type { Provider } from './provider.ts';
import type { ReplicationSettings, ServerSettings, Upstream } from './settings.ts';
import { primaryConninfo } from './settings.ts';
import { changeSettings, loadReplicationSettings, syncSettings, writeSettings } from './settings-files.ts';
import { renderSynchronousNames, type SynchronousNames, sendersAgree } from './synchronous-names.ts';
import { monotonicMs, pollUntil } from './wait.ts';

/** All that is fixed about one member's server. */
export interface ServerSpec {
  readonly provider: Provider;
  /** Null: PostgreSQL runs as ourselves. */
  readonly account: Account | null;
  readonly paths: MemberPaths;
  readonly settings: ServerSettings;
  readonly credentials: Credentials;
}

/** What a change of a running server needs: how to ask it, and how to make it read its files again. */
export interface RunningServer {
  /** One use of a connection to it; throws as withConnection does. */
  ask<T>(deadlineMs: number, use: (connection: Connection) => Promise<T>): Promise<T>;
  /** SIGHUP to the postmaster. */
  reload(): void;
}

const POLL_MS = 5;

/** Writes all settings files of a stopped server, and gives or takes the right to stream to match. In force at the next start. */
export async function writeReplicationSettings(spec: ServerSpec, replication: ReplicationSettings): Promise<void> {
  await writeWith(writeSettings, spec, replication);
}

/** The same for a server that runs: what is fixed while it does is not written anew, and nothing waits for the disk. In force at the next reload. */
async function changeReplicationSettings(spec: ServerSpec, replication: ReplicationSettings): Promise<void> {
  await writeWith(changeSettings, spec, replication);
}

async function writeWith(write: typeof writeSettings, spec: ServerSpec, replication: ReplicationSettings): Promise<void> {
  const { account, paths, provider, settings } = spec;
  const { upstream } = replication;
  if (upstream) grantStreaming(account, paths.passfileDirectory, upstream.applicationName, passwordFor(spec, upstream));
  else revokeStreaming(paths.passfileDirectory);
  const { major } = provider.version;
  await write({ account, dataDirectory: paths.dataDirectory, major, settings, replication, passfile: upstreamPassfile(spec, upstream) });
}

function passwordFor({ credentials }: ServerSpec, { source }: Upstream): string {
  return source ? (credentials.source ?? credentials.replication) : credentials.replication;
}

function upstreamPassfile({ paths }: ServerSpec, upstream: Upstream | null): string {
  return passfilePath(paths.passfileDirectory, upstream?.applicationName ?? 'none');
}

/**
 * Makes a running replica stream from this upstream. Returns when the postmaster has the new settings; the walreceiver connects by itself
 * and tries again every 100 ms. Synchronous names are blocked again. Throws `settings-not-in-force`.
 */
export async function followUpstream(spec: ServerSpec, running: RunningServer, upstream: Upstream, deadlineMs: number): Promise<void> {
  await changeReplicationSettings(spec, { synchronousNames: { kind: 'blocked' }, upstream });
  running.reload();
  const wanted = primaryConninfo(upstream, upstreamPassfile(spec, upstream), spec.settings.tlsDirectory);
  await awaitAnswer(
    running,
    deadlineMs,
    "SELECT pg_catalog.current_setting('primary_conninfo') AS conninfo",
    rows => rows[0]?.[0]?.['conninfo'] === wanted,
    `follow ${upstream.host}:${upstream.port}`,
  );
}

const RECEIVERS = `SELECT pg_catalog.current_setting('primary_conninfo') AS conninfo,
  (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type = 'walreceiver') AS receivers,
  (SELECT max(r.pid) FROM pg_catalog.pg_stat_activity r, pg_catalog.pg_stat_activity s
    WHERE r.backend_type = 'walreceiver' AND s.backend_type = 'startup' AND s.wait_event = 'RecoveryApplyDelay') AS left_alone`;

/**
 * Makes a running server take no more WAL from anybody, for certain. Its password for streaming is gone first, so that a walreceiver that
 * starts after this cannot connect; then it returns once there is none left from before. pg_stat_activity also shows one that is still
 * connecting, which pg_stat_wal_receiver does not. The startup process of a delayed replica does not look after its walreceiver while it
 * waits: then that is ended here, as the startup process does it (ShutdownWalRcv). Throws `isolate-timeout`: then nothing is promised, and
 * fencing is what remains.
 */
export async function isolateServer(spec: ServerSpec, running: RunningServer, deadlineMs: number): Promise<void> {
  await changeReplicationSettings(spec, { synchronousNames: { kind: 'blocked' }, upstream: null });
  running.reload();
  await awaitAnswer(
    running,
    deadlineMs,
    RECEIVERS,
    ([rows]) => {
      const row = rows?.[0];
      if (row?.['conninfo'] !== '') return false;
      if (row['left_alone'] != null) terminate(Number(row['left_alone']));
      return row['receivers'] === '0';
    },
    'isolate the server',
    'isolate-timeout',
  );
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch (error) {
    if (errnoOf(error) !== 'ESRCH') throw error;
  }
}

const NAMES_IN_FORCE = `SELECT pg_catalog.current_setting('synchronous_standby_names') AS names, pg_catalog.pg_is_in_recovery() AS in_recovery;
  SELECT application_name, state, sync_priority FROM pg_catalog.pg_stat_replication LIMIT 200`;

/**
 * Sets whose acknowledgement commits wait for. Returns only when the postmaster has the new value and every walsender has read it (on a
 * replica, whose walsenders acknowledge nothing: when the postmaster has it). Throws `settings-not-in-force`.
 */
export async function setSynchronousNames(
  spec: ServerSpec,
  running: RunningServer,
  names: SynchronousNames,
  deadlineMs: number,
): Promise<void> {
  await requestSynchronousNames(spec, running, names);
  const wanted = renderSynchronousNames(names);
  const inForce = ([setting, senders]: readonly (readonly Row[])[]): boolean => {
    const row = setting?.[0];
    if (row?.['names'] !== wanted) return false;
    return row['in_recovery'] === 't' || sendersAgree(wanted, (senders ?? []).map(readPriority));
  };
  await awaitAnswer(running, deadlineMs, NAMES_IN_FORCE, inForce, `set synchronous_standby_names to '${wanted}'`);
}

/**
 * The same without waiting until they are in force: for a server that is blocked until then. Durable: after a crash of the machine the names that
 * were in force last are those that the last acknowledgements rest on.
 */
export async function requestSynchronousNames(spec: ServerSpec, running: RunningServer, names: SynchronousNames): Promise<void> {
  const { upstream } = await loadReplicationSettings(spec.paths.dataDirectory);
  await changeReplicationSettings(spec, { synchronousNames: names, upstream });
  await syncSettings(spec.paths.dataDirectory);
  running.reload();
}

function readPriority(row: Row): { applicationName: string; state: string; syncPriority: number } {
  return { applicationName: row['application_name'] ?? '', state: row['state'] ?? '', syncPriority: Number(row['sync_priority']) };
}

/**
 * A new process starts with what the postmaster has read, and an older one reads the files anew only when the postmaster has done so itself and
 * tells it (process_pm_reload_request in postmaster.c): the answer of either shows that the postmaster has the settings.
 */
async function awaitAnswer(
  running: RunningServer,
  deadlineMs: number,
  question: string,
  isAnswer: (rows: readonly (readonly Row[])[]) => boolean,
  goal: string,
  code: 'settings-not-in-force' | 'isolate-timeout' = 'settings-not-in-force',
): Promise<void> {
  const end = monotonicMs() + deadlineMs;
  let lastError: unknown;
  const done = await pollUntil(
    async () => {
      try {
        const rows = await running.ask(Math.max(1, end - monotonicMs()), connection => connection.query(question));
        return isAnswer(rows) ? true : null;
      } catch (error) {
        lastError = error;
        return null;
      }
    },
    { intervalMs: POLL_MS, deadlineMs },
  );
  if (done === null)
    throw new PostgresError(code, `could not ${goal} within ${deadlineMs} ms`, lastError === undefined ? {} : { cause: lastError });
}
