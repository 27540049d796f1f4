import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ClusterState,
  type EventDraft,
  eventsOfChange,
  type Settings,
  type SourceSpec,
  type StoreListener,
  UnderstudyError,
} from '@understudy/core/cluster';
import { drainingIntent, LagClock, type Topology, topologyOf } from '@understudy/core/routing';
import { type ApiServer, createApi, serveApi } from '../api/index.ts';
import type { StatusDocument } from '../api/types.ts';
import type { Log } from '../log/log.ts';
import { onReload } from '../settings/reloads.ts';
import { type Provider, readAdoption } from '../postgres/index.ts';
import type { EtcdStore } from '../store/etcd/store.ts';
import { dashboardDirectory } from '../supervisor/index.ts';
import { makeFolder, requireVersion, writeMarker } from '../supervisor/directory.ts';
import { EventLog } from '../supervisor/event-log.ts';
import { Hearing } from '../supervisor/hearing.ts';
import { lockDirectory } from '../supervisor/lock.ts';
import { draft, MemberProcess } from '../supervisor/member-process.ts';
import { durabilityOf, initialState } from '../supervisor/members.ts';
import { Operator } from '../supervisor/operator.ts';
import { type ClusterPaths, clusterPaths, memberDirectory } from '../supervisor/paths.ts';
import { authority, isPortFree } from '../supervisor/ports.ts';
import { findPrograms, requireSettings } from '../supervisor/prepare-cluster.ts';
import { removeRuntime, writeRuntime } from '../supervisor/runtime-file.ts';
import { ServerSettings } from '../supervisor/server-settings.ts';
import { readSecrets, type Secrets } from '../supervisor/secrets.ts';
import { sampleLag } from '../supervisor/standby-status.ts';
import { standbyState } from '../supervisor/standby-source.ts';
import { describeAlarm, statusDocument, unreachableMs } from '../supervisor/status.ts';
import { traceSettings } from '../telemetry/settings.ts';
import { agentOptions } from './agent-options.ts';
import { apiTls, followApiCertificate } from './api-certificate.ts';
import { followEtcdCertificate } from './etcd-certificate.ts';
import { markerOf } from './marker.ts';
import { join as joinCluster, joined, specOf } from './membership.ts';
import { openStore } from './open-store.ts';
import { pause } from './pause.ts';
import { NEWS, Routers, ROUTERS } from './routers.ts';
import type { ServiceSettings, TlsFiles } from './settings.ts';

/** How long PostgreSQL gets to shut down cleanly when the service stops. */
const SHUTDOWN_DEADLINE_MS = 20_000;

/** How long a handing over may take before the primary is stopped all the same. */
const HAND_OVER_MS = 15_000;

/** A member that is released goes on answering for so long until the others are, and a moment more. */
const RELEASE_WAIT_MS = 60_000;
const RELEASE_POLL_MS = 50;
const RELEASE_GRACE_MS = 200;

const monotonicMs = (): number => performance.now();

export interface ServiceContext {
  readonly version: string;
  /** Ends the service when it is aborted. */
  readonly stop: AbortSignal;
  readonly log: Log;
  /** Says it in the log. */
  readonly say: (message: string) => void;
}

/** Runs one member on this machine until it is stopped, or has left the cluster. Throws errors of the catalogue. */
export async function runMember(config: ServiceSettings, context: ServiceContext, load: () => ServiceSettings): Promise<void> {
  const paths = clusterPaths(config.settings.data);
  const secrets = readSecrets(config.secrets);
  // Before anything is changed: one that has no certificate to show does not join.
  if (config.httpTls === 'machine' && config.machineTls) apiTls(config.machineTls);
  const programs = await findPrograms(config.settings);
  const { provider } = programs;
  await requireSettings(programs, config.settings, config.file);
  requireVersion(paths, provider.version.major, provider.version.text);
  for (const folder of [paths.root, paths.run, paths.log, paths.members]) makeFolder(folder);
  const lock = lockDirectory(paths.lock);
  try {
    writeMarker(paths, markerOf(config.settings, provider));
    const spec = specOf(config);
    const first = (): ClusterState =>
      joined({ ...initialState(config.settings.cluster, [], durabilityOf(config.settings)), ...standbyState(config.settings) }, spec);
    const store = await openStore(config, first, context.stop, context.say);
    if (!store) return;
    const unfollow = followEtcdCertificate(store, config, message => context.log.warn(message));
    try {
      if (isReleasedBy(store.current.state, [config.name]))
        throw new UnderstudyError('cluster-released', { cluster: config.settings.cluster });
      await requireRoom(paths, config);
      await new MemberService(config, context, {
        paths,
        secrets,
        provider,
        store,
        load,
        check: settings => requireSettings(programs, settings, config.file),
      }).run();
    } finally {
      unfollow();
      await store.close();
    }
  } finally {
    removeRuntime(paths.runtime);
    lock.release();
  }
}

function isReleasedBy({ released }: ClusterState, members: readonly string[]): boolean {
  return released !== undefined && members.every(id => released.done.includes(id));
}

/** A member without data would take a copy: not beside a server that runs there already, and was perhaps to be adopted. Throws `port-taken`. */
async function requireRoom(paths: ClusterPaths, { name, settings: { host, memberPort: port } }: ServiceSettings): Promise<void> {
  const directory = memberDirectory(paths, name);
  if (existsSync(join(directory, 'data')) || (await readAdoption(directory)) !== null || (await isPortFree(host, port).catch(() => true)))
    return;
  throw new UnderstudyError('port-taken', { port, host, flag: '`memberPort`; `understudy adopt` takes over a PostgreSQL that runs there' });
}

interface MemberParts {
  readonly paths: ClusterPaths;
  readonly secrets: Secrets;
  readonly provider: Provider;
  readonly store: EtcdStore;
  /** Reads the file again. */
  readonly load: () => ServiceSettings;
  /** Throws when PostgreSQL would refuse these settings. */
  readonly check: (settings: Settings) => Promise<void>;
}

/** One machine's part of a larger cluster: the agent's process with its PostgreSQL, and the HTTP API. The rest is heard through the store. */
class MemberService {
  readonly #config: ServiceSettings;
  readonly #context: ServiceContext;
  readonly #parts: MemberParts;
  readonly #events: EventLog;
  readonly #hearing = new Hearing();
  readonly #lag = new LagClock();
  readonly #routers = new Routers();
  readonly #operator: Operator;
  readonly #postgres: ServerSettings;
  #member: MemberProcess | null = null;
  /** The switchover that this member's agent was told to be drained for. */
  #toldDrained: string | null = null;
  #isReleased = false;
  /** Makes `run` come to its end. */
  #end: () => void = () => undefined;

  constructor(config: ServiceSettings, context: ServiceContext, parts: MemberParts) {
    this.#config = config;
    this.#context = context;
    this.#parts = parts;
    const { store, secrets, paths } = parts;
    this.#events = new EventLog(paths.events, event => store.tell(config.name, event));
    this.#events.subscribe(event => context.log.event(event));
    this.#postgres = new ServerSettings(config.settings.postgres, {
      check: parts.check,
      members: () => (this.#member ? [this.#member] : []),
      onEvent: event => void this.#events.append(event),
    });
    this.#operator = new Operator({
      store,
      events: this.#events,
      secrets,
      settings: config.settings,
      major: parts.provider.version.major,
      machineTls: config.machineTls,
      router: () => this.#routers.address ?? config.settings,
      newMembers: { where: 'elsewhere' },
      status: () => this.#status(),
      heard: () => this.#hearing.recent(monotonicMs(), unreachableMs(config.settings)),
      topology: () => this.#topology(),
      stop: () => this.#end(),
      watchStatements: () => () => undefined,
    });
  }

  async run(): Promise<void> {
    const { store } = this.#parts;
    const { name } = this.#config;
    const { stop } = this.#context;
    const ended = new Promise<void>(resolve => {
      this.#end = resolve;
      if (stop.aborted) resolve();
      else stop.addEventListener('abort', () => resolve(), { once: true });
    });
    const change = await joinCluster(store, specOf(this.#config), this.#sourceOfFile, stop);
    this.#warnOfSource(store.current.state);
    if (change) this.#tellJoin(change.before, change.after);
    const unwatch = [store.watch(this.#listener()), store.watchNotices(notice => this.#hearNotice(notice.topic, notice.from, notice))];
    const api = await this.#startApi();
    this.#member = this.#startMember();
    onReload(this.#config.file, stop, () => void this.#postgres.reload(() => this.#parts.load().settings));
    const endTraces = await this.#trace();
    this.#context.say(`Member ${name} runs; its API listens on port ${api.port}.`);
    await ended;
    if (this.#isReleased) {
      this.#context.say('The cluster was released: PostgreSQL goes on by itself, and this service ends.');
      await this.#member.abandon();
    } else {
      this.#context.say('Stopping…');
      await this.#handOver();
      this.#events.append(draft('cluster-stopping', name, `The service of ${name} is stopped.`));
      await this.#member.stop(SHUTDOWN_DEADLINE_MS);
    }
    for (const end of unwatch) end();
    await api.close();
    await endTraces();
    if (this.#hasLeft) rmSync(memberDirectory(this.#parts.paths, name), { recursive: true, force: true });
  }

  get #sourceOfFile(): SourceSpec | null {
    return standbyState(this.#config.settings).standby?.source ?? null;
  }

  /** A file outlives a promotion: what it says of a source then changes nothing. */
  #warnOfSource({ standby, rule }: ClusterState): void {
    if (this.#sourceOfFile === null || standby || rule === null) return;
    this.#context.say(
      'The file names a source (standby.of), but this cluster takes writes itself: that is left alone. See `understudy demote`.',
    );
  }

  /** Whoever asked for the release, by the API of this machine, is to hear that it is done. */
  async #whenAllReleased(): Promise<void> {
    const { store } = this.#parts;
    const end = monotonicMs() + RELEASE_WAIT_MS;
    while (monotonicMs() < end && !isReleasedBy(store.current.state, Object.keys(store.current.state.members)))
      await pause(RELEASE_POLL_MS, this.#context.stop);
    await pause(RELEASE_GRACE_MS, this.#context.stop);
  }

  /**
   * A primary that is stopped on purpose hands over first, so that clients wait for a moment instead of an election. Whether a replica may take over
   * is decided by its agent (in async durability none is in the cohort); where none may, it just stops.
   */
  async #handOver(): Promise<void> {
    const { primary, members } = this.#status();
    const hasSuccessor = members.some(({ role, state }) => role === 'replica' && state === 'running');
    if (primary !== this.#config.name || !hasSuccessor) return;
    await this.#operator
      .perform({ kind: 'switchover', to: null }, HAND_OVER_MS)
      .catch((error: Error) => this.#context.say(`No other member could take over: ${error.message}`));
  }

  get #hasLeft(): boolean {
    return !this.#parts.store.current.state.members[this.#config.name];
  }

  #listener(): StoreListener {
    return {
      state: ({ state }) => {
        if (this.#hasLeft) this.#end();
        this.#noteDrained(state);
      },
      report: report => {
        this.#hearing.note(report, monotonicMs());
        const rule = this.#parts.store.current.state.rule;
        sampleLag(this.#lag, rule, report, monotonicMs());
      },
    };
  }

  #hearNotice(topic: string, from: string, notice: Parameters<Routers['hear']>[0]): void {
    if (topic === ROUTERS) {
      this.#routers.hear(notice);
      this.#noteDrained(this.#parts.store.current.state);
    } else if (topic === NEWS && from !== this.#config.name) this.#events.hear(notice.content as EventDraft);
  }

  /** When every router has said so, or there is none. */
  #noteDrained(state: ClusterState): void {
    const intent = drainingIntent(state);
    if (intent === null || intent.id === this.#toldDrained || !this.#routers.haveDrained(intent.id)) return;
    this.#toldDrained = intent.id;
    this.#member?.drained(intent.id);
  }

  #tellJoin(before: ClusterState, after: ClusterState): void {
    const cause = { by: this.#config.name, atMs: Date.now(), reason: `${this.#config.name} was started and joins.`, inputs: {} };
    for (const event of eventsOfChange(before, after, cause)) this.#events.append(event);
  }

  #startMember(): MemberProcess {
    const { store, paths } = this.#parts;
    const { name } = this.#config;
    return new MemberProcess({
      spec: specOf(this.#config),
      store,
      logDirectory: paths.log,
      agent: { ...agentOptions(this.#config, this.#parts), postgres: this.#postgres.current },
      onEvent: event => void this.#events.append(event),
      onLeft: () => undefined,
      onReleased: () => {
        this.#isReleased = true;
        void this.#whenAllReleased().then(() => this.#end());
      },
      onEnded: () => this.#hearing.noteEnd(name),
    });
  }

  /** Null: the API is plain HTTP. */
  get #apiFiles(): TlsFiles | null {
    return this.#config.httpTls === 'machine' ? this.#config.machineTls : null;
  }

  async #startApi(): Promise<ApiServer> {
    const { paths, secrets } = this.#parts;
    const { settings } = this.#config;
    const { version } = this.#context;
    const options = { host: settings.httpHost, dashboardDirectory: dashboardDirectory(), version, member: this.#config.name };
    const app = createApi(this.#operator, options);
    const files = this.#apiFiles;
    const tls = files && apiTls(files);
    const api = await serveApi(app, { host: settings.httpHost, port: settings.httpPort }, tls);
    if (files && tls) {
      const unfollow = followApiCertificate(api, files, tls, message => this.#context.log.warn(message));
      this.#context.stop.addEventListener('abort', unfollow, { once: true });
    }
    writeRuntime(paths.runtime, {
      pid: process.pid,
      http: { host: settings.httpHost, port: api.port, ...(files ? { ca: files.ca } : {}) },
      router: { host: settings.host, port: settings.port },
      token: secrets.token,
      startedAtMs: Date.now(),
    });
    return api;
  }

  /** Statements are routed on other machines; what is seen here is changes of the primary. */
  async #trace(): Promise<() => Promise<void>> {
    const settings = traceSettings(process.env);
    if (settings === null) return async () => undefined;
    const { startTraces } = await import('../telemetry/traces.ts');
    const { version, log } = this.#context;
    return startTraces(this.#operator, { settings, version, member: this.#config.name, warn: message => log.warn(message) });
  }

  #topology(): Topology {
    const { state } = this.#parts.store.current;
    return topologyOf(state, this.#hearing.reports(), state.intent ? { intentId: state.intent.id, untilMs: 0 } : null);
  }

  #status(): StatusDocument {
    const { store, paths } = this.#parts;
    const { settings, name } = this.#config;
    const { state } = store.current;
    const nowMs = monotonicMs();
    const pid = this.#member?.pid ?? null;
    const scheme = this.#apiFiles ? 'https' : 'http';
    return statusDocument({
      state,
      topology: this.#topology(),
      reports: this.#hearing.aged(nowMs),
      agentPids: new Map(pid === null ? [] : [[name, pid]]),
      router: this.#routers.status,
      endpoints: { router: this.#operator.url('router'), http: `${scheme}://${authority(settings.httpHost, settings.httpPort)}` },
      lag: this.#lag,
      nowMs,
      unreachableMs: unreachableMs(settings),
      supervisorPid: process.pid,
      dataDirectory: paths.root,
      describeAlarm,
    });
  }
}
