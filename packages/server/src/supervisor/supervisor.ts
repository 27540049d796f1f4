import { rm } from 'node:fs/promises';
import {
  type ClusterState,
  type EventDraft,
  type MemberId,
  type MemberSpec,
  type Settings,
  type StoreListener,
  UnderstudyError,
} from '@understudy/core/cluster';
import { type DrainClock, LagClock, type Topology, topologyOf } from '@understudy/core/routing';
import { type ApiServer, createApi, serveApi } from '../api/index.ts';
import type { StatusDocument } from '../api/types.ts';
import { EventLog } from './event-log.ts';
import { Hearing } from './hearing.ts';
import { draft, MemberProcess } from './member-process.ts';
import { Operator } from './operator.ts';
import { stopOrphans, stopServers } from './orphans.ts';
import { memberDirectory } from './paths.ts';
import { authority } from './ports.ts';
import { BINARY_COPIES, type PreparedCluster, requireSettings } from './prepare-cluster.ts';
import { ProgressTeller } from './progress-teller.ts';
import type { ProgressListener } from './progress.ts';
import type { ReloadCause } from '../settings/reloads.ts';
import { proxyOptions } from './proxy-options.ts';
import { tlsMaterial } from './tls.ts';
import { ProxyProcess } from './proxy-process.ts';
import { RouterSettings } from './router-settings.ts';
import { ServerSettings } from './server-settings.ts';
import { removeRuntime, writeRuntime } from './runtime-file.ts';
import { sourcePassword } from './standby-source.ts';
import { isCutOffStandby, sampleLag } from './standby-status.ts';
import { describeAlarm, statusDocument, unreachableMs } from './status.ts';

/** How long PostgreSQL gets to shut down cleanly when the cluster stops. */
const SHUTDOWN_DEADLINE_MS = 20_000;
/** A new cluster's first member has the machine to itself until it is heard of, or for this long: the others have nothing to do before. */
const FIRST_ALONE_MS = 2000;

const monotonicMs = (): number => performance.now();

export interface SupervisorOptions {
  readonly settings: Settings;
  readonly version: string;
  readonly dashboardDirectory: string | null;
}

/** One machine's cluster: the store, one agent process a member, the proxy's process, the API. */
export class Supervisor {
  /** Resolves with an exit code when everything has stopped. */
  readonly whenStopped: Promise<number>;
  readonly facade: Operator;
  readonly #cluster: PreparedCluster;
  readonly #options: SupervisorOptions;
  readonly #events: EventLog;
  readonly #hearing = new Hearing();
  readonly #lag = new LagClock();
  readonly #members = new Map<MemberId, MemberProcess>();
  /** Members that are being taken down: their names may not be used again before that is done. */
  readonly #removals = new Map<MemberId, Promise<void>>();
  readonly #progress: ProgressTeller;
  #proxy: ProxyProcess | null = null;
  readonly #routerSettings: RouterSettings;
  readonly #postgres: ServerSettings;
  #api: ApiServer | null = null;
  #unwatch: (() => void) | null = null;
  #stopping: Promise<void> | null = null;
  #othersTimer: NodeJS.Timeout | null = null;
  #markStopped: (code: number) => void = () => undefined;

  constructor(cluster: PreparedCluster, options: SupervisorOptions, progress: ProgressListener) {
    this.#cluster = cluster;
    this.#options = options;
    this.#events = new EventLog(cluster.paths.events);
    this.#progress = new ProgressTeller(progress);
    this.#routerSettings = new RouterSettings({
      settings: options.settings,
      port: cluster.ports.router,
      routerPassword: cluster.secrets.router,
      tlsDirectory: cluster.paths.tls,
      serverTls: () => null,
      onEvent: event => this.#say(event),
    });
    this.#postgres = new ServerSettings(options.settings.postgres, {
      check: settings => requireSettings(cluster, settings, null),
      members: () => [...this.#members.values()],
      onEvent: event => this.#say(event),
    });
    this.whenStopped = new Promise(resolve => {
      this.#markStopped = resolve;
    });
    this.facade = new Operator({
      store: cluster.store,
      events: this.#events,
      secrets: cluster.secrets,
      settings: options.settings,
      major: cluster.provider.version.major,
      machineTls: null,
      router: () => ({ host: options.settings.host, port: cluster.ports.router }),
      newMembers: { where: 'here', takenPorts: () => [cluster.ports.router, cluster.ports.http] },
      status: () => this.status(),
      heard: () => this.#hearing.recent(monotonicMs(), unreachableMs(options.settings)),
      topology: () => this.topology(),
      stop: () => void this.stop(),
      watchStatements: listener => this.#proxy?.watchStatements(listener) ?? (() => undefined),
    });
  }

  /** Starts everything; resolves when API and proxy listen. Members come up by themselves. */
  async start(): Promise<void> {
    const { store, created } = this.#cluster;
    this.#say(
      draft(created ? 'decision' : 'cluster-resumed', null, created ? 'A new cluster is being made.' : 'An existing cluster is taken up.'),
    );
    if (created) {
      this.#othersTimer = setTimeout(() => {
        this.#othersTimer = null;
        this.#matchMembers(store.current.state);
      }, FIRST_ALONE_MS);
    }
    this.#unwatch = store.watch(this.#listener());
    await this.#startProxy();
    await this.#startApi();
    await this.#proxy?.listening;
    this.#progress.tell({
      kind: 'step',
      step: 'router',
      state: 'done',
      message: `the router listens on port ${this.#cluster.ports.router}`,
    });
  }

  topology(): Topology {
    const { state } = this.#cluster.store.current;
    return topologyOf(state, this.#hearing.reports(), drainOf(state.intent?.id));
  }

  status(): StatusDocument {
    const { state } = this.#cluster.store.current;
    const nowMs = monotonicMs();
    const { settings } = this.#options;
    return statusDocument({
      state,
      topology: this.topology(),
      reports: this.#hearing.aged(nowMs),
      agentPids: new Map([...this.#members].flatMap(([id, { pid }]) => (pid === null ? [] : [[id, pid] as const]))),
      router: this.#proxy?.status() ?? { clients: 0, reads: {}, writes: 0, held: 0, pid: null },
      endpoints: { router: this.facade.url('router'), http: `http://${authority(settings.httpHost, this.#cluster.ports.http)}` },
      lag: this.#lag,
      nowMs,
      unreachableMs: unreachableMs(settings),
      supervisorPid: process.pid,
      dataDirectory: this.#cluster.paths.root,
      describeAlarm,
    });
  }

  /** Router and servers take on other settings, as far as they can without a restart, and tell so. No client is disconnected. */
  async reload(load: () => Settings, cause: ReloadCause): Promise<void> {
    await this.#postgres.reload(load);
    if (this.#proxy !== null) await this.#routerSettings.reload(this.#proxy, load, cause);
  }

  /** Waits until the cluster is healthy. Throws `timed-out`. */
  async whenHealthy(limitMs: number): Promise<StatusDocument> {
    const end = monotonicMs() + limitMs;
    for (;;) {
      const status = this.status();
      if (status.verdict === 'healthy' || isCutOffStandby(status)) {
        this.#progress.tell({ kind: 'step', step: 'ready', state: 'done', message: status.summary });
        return status;
      }
      if (monotonicMs() > end) throw new UnderstudyError('timed-out', { what: 'A healthy cluster', limitMs });
      if (this.#stopping) throw new UnderstudyError('supervisor-failed', { why: 'it was stopped', log: this.#cluster.paths.log });
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }

  /**
   * Ends everything in the order in which nothing is lost: clients first, then the primary, so that its replicas get all of its WAL, then these.
   * Never rejects: what went wrong is in the exit code of `whenStopped`.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop().then(
      () => this.#markStopped(0),
      (error: Error) => {
        process.stderr.write(`the cluster was not stopped cleanly: ${error.stack ?? error.message}\n`);
        this.#markStopped(1);
      },
    );
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { store, paths, lock } = this.#cluster;
    this.#say(draft('cluster-stopping', null, 'The cluster is stopped.'));
    if (this.#othersTimer !== null) clearTimeout(this.#othersTimer);
    try {
      await this.#proxy?.stop();
      await this.#stopMembers();
      this.#unwatch?.();
      this.facade.close();
      await this.#api?.close();
      await store.close();
    } finally {
      removeRuntime(paths.runtime);
      lock.release();
    }
  }

  async #stopMembers(): Promise<void> {
    const { store, paths } = this.#cluster;
    const primary = store.current.state.rule?.primary;
    const leader = primary === undefined ? undefined : this.#members.get(primary);
    await leader?.stop(SHUTDOWN_DEADLINE_MS);
    await Promise.all([...this.#members.values()].filter(member => member !== leader).map(member => member.stop(SHUTDOWN_DEADLINE_MS)));
    await Promise.all(this.#removals.values());
    // Of an agent that was dead just now, or was killed at its deadline.
    await stopOrphans(paths.root, SHUTDOWN_DEADLINE_MS);
  }

  #listener(): StoreListener {
    return {
      state: ({ state }) => this.#matchMembers(state),
      report: report => {
        this.#hearing.note(report, monotonicMs());
        this.#startOthers();
        this.#progress.report(report);
        const rule = this.#cluster.store.current.state.rule;
        sampleLag(this.#lag, rule, report, monotonicMs());
      },
    };
  }

  /** The first member of a new cluster is up, and its database is being made. */
  #startOthers(): void {
    if (this.#othersTimer === null) return;
    clearTimeout(this.#othersTimer);
    this.#othersTimer = null;
    this.#matchMembers(this.#cluster.store.current.state);
  }

  /** One agent for each member of the state, once nothing is left of an earlier member of that name. */
  #matchMembers(state: ClusterState): void {
    for (const id of this.#members.keys()) if (!state.members[id]) this.#removeMember(id);
    if (this.#stopping) return;
    for (const spec of Object.values(state.members).sort((a, b) => (a.id < b.id ? -1 : 1))) {
      if (this.#othersTimer !== null && this.#members.size > 0) break;
      if (!this.#members.has(spec.id) && !this.#removals.has(spec.id)) this.#startMember(spec);
    }
  }

  #startMember(spec: MemberSpec): void {
    const { paths, provider, secrets, store } = this.#cluster;
    const { superuser, superuserRole, replication, router } = secrets;
    this.#members.set(
      spec.id,
      new MemberProcess({
        spec,
        store,
        logDirectory: paths.log,
        agent: {
          member: spec.id,
          host: spec.host,
          port: spec.port,
          directory: memberDirectory(paths, spec.id),
          provider: provider.kind === 'embedded' ? { kind: 'embedded' } : { kind: 'system', binDirectory: provider.binDirectory },
          binaryCopies: BINARY_COPIES,
          credentials: { superuser, superuserRole, replication, router, ...sourcePassword(this.#options.settings) },
          failover: this.#options.settings.failover,
          postgres: this.#postgres.current,
          applyDelayMs: spec.applyDelayMs,
          tls: null,
        },
        onEvent: event => this.#say(event),
        onReleased: () => undefined,
        onLeft: () => undefined,
        onEnded: () => this.#hearing.noteEnd(spec.id),
      }),
    );
  }

  #removeMember(id: MemberId): void {
    const member = this.#members.get(id);
    this.#members.delete(id);
    const removal = this.#takeDown(id, member)
      .catch((error: Error) => this.#say(draft('decision', id, `${id} could not be removed: ${error.message}`)))
      .finally(() => {
        this.#removals.delete(id);
        this.#matchMembers(this.#cluster.store.current.state);
      });
    this.#removals.set(id, removal);
  }

  /** A member that the rule-keepers have taken off the list: its processes end, its directory goes. */
  async #takeDown(id: MemberId, member: MemberProcess | undefined): Promise<void> {
    const directory = memberDirectory(this.#cluster.paths, id);
    await member?.stop(SHUTDOWN_DEADLINE_MS);
    await stopServers([directory], SHUTDOWN_DEADLINE_MS);
    this.#hearing.forget(id);
    await rm(directory, { recursive: true, force: true });
  }

  async #startProxy(): Promise<void> {
    const { store, paths, secrets, ports } = this.#cluster;
    const { settings } = this.#options;
    const tls = await tlsMaterial(settings, paths.tls, Date.now());
    this.#proxy = new ProxyProcess({
      proxy: proxyOptions(settings, ports.router, secrets.router, tls, null),
      failover: settings.failover,
      viewTtlMs: null,
      membersDirectory: paths.members,
      listenFd: null,
      store,
      logDirectory: paths.log,
      onEvent: event => this.#say(event),
      onDrained: intentId => {
        for (const member of this.#members.values()) member.drained(intentId);
      },
    });
  }

  async #startApi(): Promise<void> {
    const { paths, ports, secrets } = this.#cluster;
    const { settings, version, dashboardDirectory } = this.#options;
    const app = createApi(this.facade, { host: settings.httpHost, dashboardDirectory, version });
    this.#api = await serveApi(app, { host: settings.httpHost, port: ports.http });
    writeRuntime(paths.runtime, {
      pid: process.pid,
      http: { host: settings.httpHost, port: this.#api.port },
      router: { host: settings.host, port: ports.router },
      token: secrets.token,
      startedAtMs: Date.now(),
    });
    this.#progress.tell({ kind: 'step', step: 'api', state: 'done', message: `the API listens on port ${this.#api.port}` });
  }

  #say(event: EventDraft): void {
    this.#events.append(event);
  }
}

/** Status only says that a switchover drains, not until when: routers count that by themselves. */
function drainOf(intentId: string | undefined): DrainClock | null {
  return intentId === undefined ? null : { intentId, untilMs: 0 };
}
