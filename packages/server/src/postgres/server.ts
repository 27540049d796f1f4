import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn, PostgresSettings, ServerReport } from '@understudy/core/cluster';
import { forgetServer, releaseServer } from './adoption/release.ts';
import { type Connection, type Endpoint, withConnection } from './connection.ts';
import { readControlFile } from './control-file.ts';
import { DiskProbe, type DiskReport } from './disk.ts';
import { errnoOf, PostgresError } from './errors.ts';
import { fenceServer } from './fence.ts';
import { exists, writeFileAtomically } from './files.ts';
import { type Freshness, KeptConnection } from './kept-connection.ts';
import { hasDataDirectory } from './layout.ts';
import { limitLog, logSize, logTail } from './log-file.ts';
import { type Observation, observe } from './observe.ts';
import { type PendingSettings, readPending } from './pending.ts';
import { adoptPostmaster, findPostmaster, type Postmaster, type PostmasterExit, spawnPostmaster } from './postmaster.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import { type Promotion, promoteServer } from './promote.ts';
import type { Provider } from './provider.ts';
import {
  followUpstream,
  isolateServer,
  requestSynchronousNames,
  type RunningServer,
  type ServerSpec,
  setSynchronousNames,
  writeReplicationSettings,
} from './replication.ts';
import type { ReplicationSettings, Upstream } from './settings.ts';
import { loadReplicationSettings, writeDefaults } from './settings-files.ts';
import { advanceSlot, dropSlot, ensureSlot, listSlots, type Slot } from './slots.ts';
import { endsWithShutdown } from './source.ts';
import type { SynchronousNames } from './synchronous-names.ts';
import { dropUnusedTimelines, promotedTimeline } from './timeline-files.ts';
import { pollUntil } from './wait.ts';

/** As what a server is started. A replica's commits are always blocked: it has no rule of its own. */
export type StartAs =
  | { readonly role: 'primary'; readonly synchronousNames: SynchronousNames }
  | { readonly role: 'replica'; readonly upstream: Upstream | null };

export interface StopResult {
  /** False when it had to be killed. */
  readonly clean: boolean;
}

/** Enough for PostgreSQL to die of SIGKILL on a machine that is short of everything but a disk that answers. */
const FENCE_DEADLINE_MS = 10_000;
const READY_POLL_MS = 10;
/** What one try to connect to a starting server may take: the first, and at most. */
const FIRST_TRY_MS = 1000;
const LAST_TRY_MS = 8000;

/**
 * One PostgreSQL server as a child process. It does what it is told and decides nothing. Methods that change something are
 * not to be called concurrently, except `fence`, which may be called at any time.
 */
export class PostgresServer {
  #spec: ServerSpec;
  readonly #disk: DiskProbe;
  readonly #onExit: (exit: PostmasterExit) => void;
  readonly #connection = new KeptConnection();
  #postmaster: Postmaster | null = null;
  #logOffset = 0;

  /** `onExit` is called the moment a postmaster is gone, also when we stopped it ourselves. */
  constructor(spec: ServerSpec, onExit: (exit: PostmasterExit) => void = () => undefined) {
    this.#spec = spec;
    this.#onExit = onExit;
    this.#disk = new DiskProbe(spec.settings.adopted === null ? spec.paths.memberDirectory : spec.paths.dataDirectory, spec.account);
  }

  get spec(): ServerSpec {
    return this.#spec;
  }

  /** From the next start on it runs with these programs, of the same major version. */
  useProvider(provider: Provider): void {
    this.#spec = { ...this.#spec, provider };
  }

  /** Takes on what the operator has set: at once where PostgreSQL can, else at the next start. */
  async useOperatorSettings(operator: PostgresSettings): Promise<void> {
    const { account, paths, provider, settings } = this.#spec;
    this.#spec = { ...this.#spec, settings: { ...settings, operator } };
    if (!(await hasDataDirectory(paths, provider))) return;
    const written = await writeDefaults(account, paths.dataDirectory, this.#spec.settings);
    if (written === 'written' && this.#postmaster) this.reload();
  }

  /** Pid of the living postmaster that was started or adopted here; null when there is none. */
  get pid(): number | null {
    return this.#postmaster?.pid ?? null;
  }

  /** How to reach it as superuser from this machine. */
  get endpoint(): Endpoint {
    const { credentials, settings } = this.spec;
    const host = settings.listenAddress === '0.0.0.0' || settings.listenAddress === '*' ? '127.0.0.1' : settings.listenAddress;
    return { host, port: settings.port, user: credentials.superuserRole, password: credentials.superuser };
  }

  /**
   * Takes over a postmaster that still runs in our data directory from an earlier life of the agent. False when there is none.
   * Throws `data-directory-foreign`, `data-directory-version`.
   */
  async adopt(): Promise<boolean> {
    if (this.#postmaster) return true;
    if (!(await hasDataDirectory(this.spec.paths, this.spec.provider))) return false;
    const found = await findPostmaster(this.spec.paths.dataDirectory);
    if (!found) return false;
    this.#attach(adoptPostmaster(found));
    return true;
  }

  /**
   * Starts the postmaster and returns as soon as it runs; waitUntilReady tells when it takes connections. Children that an earlier postmaster
   * left behind are killed first. Throws `already-running`, `not-running` (no data directory), `standby-data-directory`, `start-failed`.
   */
  async start(as: StartAs): Promise<void> {
    const { paths, provider, account } = this.spec;
    if (await this.adopt()) throw new PostgresError('already-running', `a postmaster (${this.pid}) already runs in ${paths.dataDirectory}`);
    if (!(await hasDataDirectory(paths, provider)))
      throw new PostgresError('not-running', `there is no data directory ${paths.dataDirectory}`);
    if (as.role === 'primary') await this.#refuseStandbyAsPrimary();
    await this.#clearRemains();
    await dropUnusedTimelines(paths.dataDirectory);
    await writeReplicationSettings(this.spec, startSettings(as));
    await rm(join(paths.dataDirectory, 'recovery.signal'), { force: true });
    const standbySignal = join(paths.dataDirectory, 'standby.signal');
    if (as.role === 'replica') await writeFileAtomically(account, standbySignal, '');
    else await rm(standbySignal, { force: true });
    this.#logOffset = await logSize(paths.logFile);
    this.#attach(await spawnPostmaster(provider, account, paths, this.spec.settings.adopted?.socketDirectories ?? []));
  }

  /**
   * Waits until a fresh connection is answered. Throws `start-failed` or `port-in-use` when the postmaster ends meanwhile, with the end of
   * its log as detail, `start-timeout` at the deadline; the postmaster then goes on starting.
   */
  async waitUntilReady(deadlineMs: number, signal?: AbortSignal): Promise<void> {
    const { dataDirectory } = this.spec.paths;
    const postmaster = this.#running();
    // A starved machine answers late: short tries alone would never end there.
    let tryMs = FIRST_TRY_MS;
    const ready = await pollUntil(
      async () => {
        if (this.#postmaster !== postmaster) throw await this.startFailure();
        const file = await readPostmasterFile(dataDirectory);
        if (file?.pid !== postmaster.pid || file.status !== 'ready') return null;
        return await withConnection(this.endpoint, { deadlineMs: tryMs }, connection => connection.query('SELECT 1')).then(
          () => true,
          () => {
            tryMs = Math.min(tryMs * 2, LAST_TRY_MS);
            return null;
          },
        );
      },
      { intervalMs: READY_POLL_MS, deadlineMs, ...(signal ? { signal } : {}) },
    );
    if (ready === null)
      throw new PostgresError('start-timeout', `PostgreSQL took no connections within ${deadlineMs} ms`, { detail: await this.logTail() });
  }

  /**
   * Whether the running postmaster says in its file that it takes connections. Each attempt before that would cost a starting server a process, which
   * it needs itself. A file that tells nothing of it counts as yes.
   */
  async takesConnections(): Promise<boolean> {
    const file = await readPostmasterFile(this.spec.paths.dataDirectory);
    return file === null || file.pid !== this.pid || file.status === 'ready';
  }

  /** Fast shutdown (SIGINT): sessions are ended, a primary sends all WAL to its replicas. After `deadlineMs` it is fenced instead. */
  async stop(deadlineMs: number): Promise<StopResult> {
    const postmaster = this.#postmaster;
    if (!postmaster) return { clean: true };
    kill(postmaster.pid, 'SIGINT');
    const ended = await within(postmaster.exited, deadlineMs);
    if (ended) return { clean: true };
    await this.fence();
    return { clean: false };
  }

  /**
   * Kills the postmaster and every child, for certain, also orphans of a postmaster that is dead already. Returns the number of processes
   * killed. Throws `fence-incomplete`.
   */
  async fence(deadlineMs: number = FENCE_DEADLINE_MS): Promise<number> {
    const killed = await fenceServer(this.spec.paths.dataDirectory, deadlineMs);
    await this.#postmaster?.exited;
    return killed;
  }

  /**
   * Looks at the running server, see observe.ts. Only a fresh connection shows that it takes new ones: a stopped postmaster looks well through an
   * old one. Throws `not-running`, `server-unresponsive` and the other errors of withConnection.
   */
  async observe(deadlineMs: number, freshness: Freshness = 'fresh'): Promise<Observation> {
    this.#running();
    const { paths, provider } = this.spec;
    return await this.#connection.use(this.endpoint, freshness, deadlineMs, connection =>
      observe(connection, paths.dataDirectory, provider.version.major),
    );
  }

  /** What a server without a postmaster is. Throws `data-directory-foreign`, `data-directory-version`, `data-directory-corrupt`. */
  async reportStopped(): Promise<Extract<ServerReport, { kind: 'absent' | 'stopped' }>> {
    const { paths, provider } = this.spec;
    if (!(await hasDataDirectory(paths, provider))) return { kind: 'absent' };
    const { state, timeline: checkpointTimeline, checkpointLsn } = await readControlFile(paths.dataDirectory);
    const wasPrimary = state === 'in-production' || state === 'shut-down' || state === 'shutting-down' || state === 'in-crash-recovery';
    const timeline = wasPrimary ? await promotedTimeline(paths.dataDirectory, checkpointTimeline) : checkpointTimeline;
    const cleanShutdown = state === 'shut-down';
    return { kind: 'stopped', cleanShutdown, timeline, checkpointLsn, crashed: !cleanShutdown && state !== 'shut-down-in-recovery' };
  }

  /** System identifier of the data directory, in decimal, running or not. Throws `data-directory-corrupt`. */
  async systemId(): Promise<string> {
    return (await readControlFile(this.spec.paths.dataDirectory)).systemId;
  }

  /** See promoteServer. */
  async promote(timeline: number | null, deadlineMs: number): Promise<Promotion> {
    return await promoteServer(this.spec, this.#handle(), timeline, deadlineMs);
  }

  /** See followUpstream. */
  async follow(upstream: Upstream, deadlineMs: number): Promise<void> {
    await followUpstream(this.spec, this.#handle(), upstream, deadlineMs);
  }

  /** See isolateServer. */
  async isolate(deadlineMs: number): Promise<void> {
    await isolateServer(this.spec, this.#handle(), deadlineMs);
  }

  /** See setSynchronousNames in replication.ts. */
  async setSynchronousNames(names: SynchronousNames, deadlineMs: number): Promise<void> {
    await setSynchronousNames(this.spec, this.#handle(), names, deadlineMs);
  }

  /** See requestSynchronousNames in replication.ts. */
  async requestSynchronousNames(names: SynchronousNames): Promise<void> {
    await requestSynchronousNames(this.spec, this.#handle(), names);
  }

  /** The replication settings that were last written, whether or not they are in force. Throws `data-directory-corrupt`. */
  async replicationSettings(): Promise<ReplicationSettings> {
    return await loadReplicationSettings(this.spec.paths.dataDirectory);
  }

  /** See adoption/release.ts. */
  async release(deadlineMs: number): Promise<void> {
    await releaseServer(this.#spec, this.#handle(), deadlineMs);
  }

  /** Leaves the running server alone for good. */
  async forget(): Promise<void> {
    await forgetServer(this.#spec);
    if (this.#postmaster) this.reload();
    this.#connection.drop();
  }

  /** Makes the postmaster read its files again (user.conf, certificates). */
  reload(): void {
    kill(this.#running().pid, 'SIGHUP');
  }

  /** Forces a checkpoint: after a promotion, so that pg_rewind and a restart see the new timeline. */
  async checkpoint(deadlineMs: number): Promise<void> {
    await this.#ask(deadlineMs, connection => connection.query('CHECKPOINT'));
  }

  /** See pending.ts. */
  async readPending(deadlineMs: number): Promise<PendingSettings> {
    return await this.#ask(deadlineMs, readPending);
  }

  /** See endsWithShutdown in source.ts. */
  async endsWithShutdown(deadlineMs: number): Promise<boolean | null> {
    this.#running();
    return await withConnection(this.endpoint, { deadlineMs }, endsWithShutdown);
  }

  /** See slots.ts. */
  async ensureSlot(name: string, deadlineMs: number): Promise<void> {
    await this.#ask(deadlineMs, connection => ensureSlot(connection, name));
  }

  async advanceSlot(name: string, to: Lsn, deadlineMs: number): Promise<void> {
    await this.#ask(deadlineMs, connection => advanceSlot(connection, name, to));
  }

  async dropSlot(name: string, deadlineMs: number): Promise<void> {
    await this.#ask(deadlineMs, connection => dropSlot(connection, name));
  }

  async listSlots(deadlineMs: number): Promise<readonly Slot[]> {
    return await this.#ask(deadlineMs, connection => listSlots(connection, this.spec.provider.version.major));
  }

  /** Whether the disk under the data directory takes writes. Answers within `deadlineMs`. */
  async probeDisk(deadlineMs: number): Promise<DiskReport> {
    return await this.#disk.probe(deadlineMs);
  }

  /** Keeps the log within its limit; to be called now and then. */
  async limitLog(): Promise<void> {
    await limitLog(this.spec.paths.logFile);
  }

  /** The end of what was logged since the last start. */
  async logTail(): Promise<string> {
    return await logTail(this.spec.paths.logFile, this.#logOffset);
  }

  #attach(postmaster: Postmaster): void {
    this.#postmaster = postmaster;
    void postmaster.exited.then(exit => {
      if (this.#postmaster === postmaster) this.#postmaster = null;
      this.#connection.drop();
      this.#onExit(exit);
    });
  }

  #running(): Postmaster {
    if (!this.#postmaster) throw new PostgresError('not-running', `no postmaster runs in ${this.spec.paths.dataDirectory}`);
    return this.#postmaster;
  }

  #handle(): RunningServer {
    this.#running();
    return { ask: (deadlineMs, use) => this.#ask(deadlineMs, use), reload: () => this.reload() };
  }

  async #ask<T>(deadlineMs: number, use: (connection: Connection) => Promise<T>): Promise<T> {
    return await this.#connection.use(this.endpoint, 'kept', deadlineMs, use);
  }

  /**
   * A data directory that was a standby when it stopped, or an opened backup, would recover without beginning a timeline of its own and then
   * write on its primary's. Only a promotion makes it a primary.
   */
  async #refuseStandbyAsPrimary(): Promise<void> {
    const { dataDirectory } = this.spec.paths;
    const { state } = await readControlFile(dataDirectory);
    const standby = state === 'shut-down-in-recovery' || state === 'in-archive-recovery';
    if (standby || (await exists(join(dataDirectory, 'backup_label')))) {
      throw new PostgresError('standby-data-directory', `${dataDirectory} is a standby's: start it as a replica and promote it`);
    }
  }

  /**
   * Children of a dead postmaster keep its shared memory, and PostgreSQL would not start beside them. A postmaster.pid whose number now belongs to
   * a stranger, or to a zombie that nobody has reaped, would make it refuse too; any other leftover it clears by itself.
   */
  async #clearRemains(): Promise<void> {
    const { dataDirectory } = this.spec.paths;
    await fenceServer(dataDirectory, FENCE_DEADLINE_MS);
    const file = await readPostmasterFile(dataDirectory);
    if (file && isTaken(file.pid)) await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
  }

  /** Why the postmaster ended while it started, by the end of its log: `port-in-use`, `disk-full` or `start-failed`. */
  async startFailure(): Promise<PostgresError> {
    const detail = await this.logTail();
    if (/Address already in use/.test(detail))
      return new PostgresError('port-in-use', `port ${this.spec.settings.port} is taken`, { detail });
    if (/No space left on device/.test(detail))
      return new PostgresError('disk-full', 'PostgreSQL did not start: the disk is full', { detail });
    return new PostgresError('start-failed', 'PostgreSQL ended while it started', { detail });
  }
}

function startSettings(as: StartAs): ReplicationSettings {
  switch (as.role) {
    case 'primary':
      return { synchronousNames: as.synchronousNames, upstream: null };
    case 'replica':
      return { synchronousNames: { kind: 'blocked' }, upstream: as.upstream };
    default:
      return as satisfies never;
  }
}

/** As PostgreSQL sees it (CreateLockFile in miscinit.c): zombies and other accounts' processes count. */
function isTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === 'EPERM';
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone; whoever waits for its end is told.
  }
}

async function within<T>(promise: Promise<T>, deadlineMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>(resolve => {
    timer = setTimeout(() => resolve(null), deadlineMs);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
