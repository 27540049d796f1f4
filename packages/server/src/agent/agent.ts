import {
  type ClusterState,
  type EventDraft,
  type EventKind,
  eventsOfChange,
  type MemberId,
  type MemberReport,
  type PostgresSettings,
  type ServerReport,
  type Store,
  type VersionedState,
} from '@understudy/core/cluster';
import { type Decision, decide, hear, type HeardMember, lookoutFor, type View } from '@understudy/core/failover';
import type { PostgresServer } from '../postgres/index.ts';
import { FactKeeper } from './facts.ts';
import { Housekeeping } from './housekeeping.ts';
import { Lookout } from './lookout.ts';
import type { AgentOptions } from './messages.ts';
import { Performer } from './performer.ts';
import type { InstalledPrograms } from './programs.ts';
import type { PromiseFile } from './promise-file.ts';
import type { PromotionNote } from './promotion-note.ts';
import { requireSystemId } from './repair.ts';
import { RestartFacts } from './restart-facts.ts';
import { SourceWatch } from './source-watch.ts';
import { type Pace, ServerWatcher } from './watcher.ts';

/** While something is being waited for (an election, a promotion, a barrier), the server is looked at this often. */
const URGENT_INTERVAL_MS = 20;
/** A change that others won is decided anew at once; a store that does not answer is asked again after this. */
const STORE_RETRY_MS = 200;
/** After something was done the agent stays alert for this long. */
const ACTIVE_MS = 1000;

export interface AgentPorts {
  readonly store: Store;
  readonly server: PostgresServer;
  readonly programs: InstalledPrograms;
  readonly promises: PromiseFile;
  readonly note: PromotionNote;
  readonly onEvent: (event: EventDraft) => void;
  readonly onLeft: () => void;
  readonly onReleased: () => void;
}

const monotonicMs = (): number => performance.now();

/** The process's output goes to the member's log file. */
function log(line: string): void {
  process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

/** One member's loop: look, tell the others, decide, act. All that it decides comes from `decide`; all that it does goes through Performer. */
export class Agent {
  readonly #options: AgentOptions;
  readonly #ports: AgentPorts;
  readonly #facts: FactKeeper;
  readonly #watcher: ServerWatcher;
  readonly #performer: Performer;
  readonly #housekeeping: Housekeeping;
  readonly #restart: RestartFacts;
  readonly #lookout: Lookout;
  readonly #source: SourceWatch;
  readonly #heard = new Map<MemberId, HeardMember>();
  #versioned: VersionedState | null = null;
  #storeHeardAtMs = monotonicMs();
  #storeBackAtMs = monotonicMs();
  #alarms: readonly string[] = [];
  #serverKind: ServerReport['kind'] | null = null;
  #sequence = 0;
  #lastTold = { signature: '', atMs: Number.NEGATIVE_INFINITY };
  #changing = false;
  /** The outcome of a change that was sent is not known; at the beginning there may be one of an earlier life. */
  #unsettled = true;
  #promisedAtMs = Number.NEGATIVE_INFINITY;
  #activeAtMs = Number.NEGATIVE_INFINITY;
  #nudged = false;
  #storeRetryAtMs = 0;
  #stopping = false;
  #wake: (() => void) | null = null;

  constructor(options: AgentOptions, ports: AgentPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#facts = new FactKeeper(options.member, monotonicMs());
    this.#watcher = new ServerWatcher(ports.server, options.failover, monotonicMs);
    this.#housekeeping = new Housekeeping(ports.server, monotonicMs);
    this.#restart = new RestartFacts(ports.server, ports.programs, monotonicMs);
    this.#lookout = new Lookout(options.failover, () => this.#nudge());
    this.#source = new SourceWatch(options.member, ports.server, monotonicMs, () => this.#nudge(), log);
    this.#performer = new Performer({
      member: options.member,
      server: ports.server,
      programs: ports.programs,
      promises: ports.promises,
      facts: this.#facts,
      watcher: this.#watcher,
      note: ports.note,
      now: monotonicMs,
      systemId: () => requireSystemId(this.#versioned?.state.systemId ?? null),
      say: (kind, message, inputs) => this.#say(kind, message, inputs),
      log,
      onProgress: () => this.#nudge(),
      onLeft: ports.onLeft,
      onReleased: () => {
        this.#stopping = true;
        ports.onReleased();
      },
    });
  }

  /** Runs until `stop`. */
  async run(): Promise<void> {
    const { store, server, note } = this.#ports;
    if (note.exists) {
      await server.fence();
      note.remove();
      this.#say('server-fenced', 'A promotion was begun and not seen to end; the server was killed, so that it cannot take effect later.');
    }
    if (await server.adopt()) {
      this.#watcher.reset();
      this.#say('server-adopted', `PostgreSQL (process ${server.pid}) still ran and was taken over.`);
      await this.useSettings(server.spec.settings.operator);
    }
    const unwatch = store.watch({ state: now => this.#hearState(now), report: report => this.#hearReport(report) });
    while (!this.#stopping) {
      await this.#lookIfDue();
      if (this.#stopping) break;
      this.#step();
      await this.#sleep(Math.max(1, this.#watcher.lookedAtMs + this.#intervalMs() - monotonicMs()));
    }
    this.#lookout.watch([]);
    unwatch();
  }

  /** Takes on what the operator has set. What is wrong with it becomes an event. */
  async useSettings(postgres: PostgresSettings): Promise<void> {
    await this.#ports.server
      .useOperatorSettings(postgres)
      .catch((error: Error) => this.#say('decision', `The settings of PostgreSQL could not be taken on: ${error.message}`));
    this.#restart.reset();
    this.#nudge();
  }

  /** Decides nothing more, and shuts the server down cleanly within the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    this.#nudge();
    await this.#performer.abort();
    await this.#ports.server.stop(deadlineMs);
  }

  /** To be called the moment the postmaster is gone. */
  noteExit(cause: string): void {
    if (!this.#stopping && !this.#performer.busy) this.#say('server-exited', `PostgreSQL of ${this.#options.member} ended: ${cause}.`);
    if (this.#watcher.report()?.kind === 'starting' && this.#performer.operation?.kind !== 'stopping') void this.#noteFailedStart();
    this.#watcher.reset();
    this.#facts.noteServerLife();
    this.#restart.reset();
    this.#nudge();
  }

  /** A server that ends before it has answered was not started: the next start waits, and after some of them a person is told. */
  async #noteFailedStart(): Promise<void> {
    const failure = await this.#ports.server.startFailure();
    this.#facts.noteRepair('failed', monotonicMs(), failure.code === 'start-failed' ? 'unknown' : 'surroundings');
    this.#say('decision', `${this.#options.member} did not start: ${failure.message}.`, { failed: failure.code });
  }

  noteDrained(intentId: string): void {
    this.#facts.noteDrained(intentId);
    this.#nudge();
  }

  /**
   * News from the store is acted on at once, by what is known, also while a look is under way; only time, or a postmaster that came or went, calls
   * for another look. What is under way looks by itself when it is done. A hung server does not hold up the loop: the look goes on by itself.
   */
  async #lookIfDue(): Promise<void> {
    const intervalMs = this.#intervalMs();
    const isUnknown = this.#watcher.report() === null;
    const isRecent = this.#isCertain() && monotonicMs() - this.#watcher.lookedAtMs < intervalMs;
    if (!isUnknown && (this.#performer.busy || isRecent)) return;
    this.#watcher
      .look(this.#pace())
      .catch((error: Error) => this.#say('decision', `The server could not be looked at: ${error.message}`))
      .finally(() => this.#nudge());
    await this.#sleep(intervalMs);
  }

  /**
   * Whether what is known of the server was seen after the last change that was made to it and after the last promise: only then may the report
   * answer an election.
   */
  #isCertain(): boolean {
    return this.#watcher.knownSinceMs >= Math.max(this.#performer.endedAtMs, this.#promisedAtMs);
  }

  #step(): void {
    this.#watcher.measureSilence();
    const report = this.#ownReport();
    const now = monotonicMs();
    const seen = this.#watcher.observation;
    if (seen) this.#facts.noteObservation(seen, this.#watcher.answeredAtMs);
    if (!report) return;
    this.#heard.set(report.id, { report, heardAtMs: now });
    this.#facts.noteReport(report, now);
    this.#sayChange(report.server);
    this.#tell(report, now);
    if (report.server.kind === 'primary' || report.server.kind === 'replica')
      this.#restart.lookIfDue().catch((error: Error) => log(`what a restart would change: ${error.message}`));
    if (this.#versioned) this.#source.round(this.#versioned.state, report.server);
    this.#facts.noteSource(this.#source.facts);
    const view = this.#view();
    if (!view) return;
    this.#lookout.watch(lookoutFor(view, this.#facts.primarySilentMs(now), now).map(id => view.state.members[id]!));
    const decisions = decide(view, now);
    if (decisions.length === 0 && !view.local.busy) this.#keepHouse(view.local.slots ?? []);
    this.#noteAlarms(decisions);
    for (const decision of decisions) this.#perform(decision);
  }

  #view(): View | null {
    const { member: self, failover: config } = this.#options;
    if (!this.#versioned) return null;
    return {
      self,
      config,
      state: this.#versioned.state,
      members: Object.fromEntries(this.#heard),
      local: this.#facts.local(this.#ports.promises.term, this.#performer.busy || this.#changing),
      storeHeardAtMs: this.#storeHeardAtMs,
      wallMs: Date.now(),
    };
  }

  #perform({ action, reason, inputs }: Decision): void {
    switch (action.kind) {
      case 'alarm':
        return;
      case 'change-store':
        void this.#change(action.next, reason, inputs);
        return;
      default:
        if (this.#performer.isTooSoon(action.kind)) return;
        if (action.kind === 'promise') this.#promisedAtMs = monotonicMs();
        if (action.kind === 'set-synchronous-names' && this.#unsettled) {
          void this.#settle();
          return;
        }
        this.#activeAtMs = monotonicMs();
        void this.#performer
          .perform(action, reason, inputs)
          .catch((error: Error) => this.#say('decision', `${action.kind} failed: ${error.message}`))
          .finally(() => this.#nudge());
    }
  }

  #keepHouse(slots: readonly string[]): void {
    this.#housekeeping.round(this.#options.member, slots, this.#heard).catch((error: Error) => log(`housekeeping: ${error.message}`));
  }

  async #change(next: ClusterState, reason: string, inputs: Decision['inputs']): Promise<void> {
    const before = this.#versioned;
    if (!before || this.#changing || monotonicMs() < this.#storeRetryAtMs) return;
    this.#changing = true;
    this.#activeAtMs = monotonicMs();
    try {
      const result = await this.#ports.store.change(before.revision, next);
      this.#unsettled = false;
      this.#hearState(result.now);
      if (result.kind === 'conflict') return;
      for (const event of eventsOfChange(before.state, next, { by: this.#options.member, atMs: Date.now(), reason, inputs }))
        this.#ports.onEvent(event);
    } catch (error) {
      this.#unsettled = true;
      this.#storeRetryAtMs = monotonicMs() + STORE_RETRY_MS;
      this.#say('decision', `The store could not be changed: ${(error as Error).message}`);
    } finally {
      this.#changing = false;
      this.#nudge();
    }
  }

  /**
   * A change whose answer was lost (by an earlier life of this agent, too) may still come into force. Before PostgreSQL's names follow what the store
   * seems to say, the unchanged state is swapped for itself: then nothing that was sent before can take effect any more.
   */
  async #settle(): Promise<void> {
    const before = this.#versioned;
    if (!before || this.#changing || monotonicMs() < this.#storeRetryAtMs) return;
    this.#changing = true;
    try {
      this.#hearState((await this.#ports.store.change(before.revision, before.state)).now);
      this.#unsettled = false;
    } catch {
      this.#storeRetryAtMs = monotonicMs() + STORE_RETRY_MS;
    } finally {
      this.#changing = false;
      this.#nudge();
    }
  }

  #hearState(now: VersionedState): void {
    const at = monotonicMs();
    if (this.#versioned && now.revision <= this.#versioned.revision) return;
    this.#versioned = now;
    this.#facts.noteState(now.state, at);
    this.#nudge();
  }

  #hearReport(report: MemberReport): void {
    const at = monotonicMs();
    if (report.id === this.#options.member) return;
    const known = this.#heard.get(report.id);
    const { leaseMs } = this.#options.failover;
    this.#heard.set(report.id, hear(known, report, at, { leaseMs, storeBackAtMs: this.#storeBackAtMs }));
    this.#facts.noteReport(report, at);
    if (!known || signatureOf(known.report) !== signatureOf(report)) this.#nudge();
  }

  #ownReport(): MemberReport | null {
    const server = this.#watcher.report();
    if (!server) return null;
    const sourceReport = this.#source.reportWith(server);
    return {
      id: this.#options.member,
      sequence: this.#sequence + 1,
      promisedTerm: this.#ports.promises.term,
      systemId: this.#watcher.systemId,
      server,
      operation: this.#performer.operation ?? (this.#isCertain() ? null : { kind: 'reconfiguring' }),
      postmasterPid: this.#ports.server.pid,
      serverVersion: this.#watcher.observation?.serverVersion ?? null,
      startedAtMs: this.#watcher.observation?.startedAtMs ?? null,
      ...this.#restart.report,
      openTerm: server.kind === 'primary' ? this.#facts.openTerm : null,
      openLsn: server.kind === 'primary' ? this.#facts.openLsn : null,
      ...(sourceReport === null ? {} : { source: sourceReport }),
      alarms: this.#alarms,
      sight: this.#lookout.sight(this.#facts.primarySilentMs(monotonicMs())),
      unansweredMs: Math.round(monotonicMs() - this.#storeHeardAtMs),
    };
  }

  /** At every heartbeat, and at once when something has changed that others decide by. */
  #tell(report: MemberReport, now: number): void {
    const signature = signatureOf(report);
    if (signature === this.#lastTold.signature && now - this.#lastTold.atMs < this.#options.failover.heartbeatMs - 10) return;
    this.#lastTold = { signature, atMs: now };
    this.#sequence = report.sequence;
    this.#ports.store.report(report).then(
      () => {
        this.#facts.noteLease(now);
        if (now - this.#storeHeardAtMs > this.#options.failover.leaseMs) this.#storeBackAtMs = monotonicMs();
        // As of the sending: news that was held up on its way must not make the silence of others look longer than it was.
        this.#storeHeardAtMs = Math.max(this.#storeHeardAtMs, now);
      },
      () => undefined,
    );
  }

  /** What has become of the server since the last round, where nothing else tells it. */
  #sayChange(server: ServerReport): void {
    const before = this.#serverKind;
    this.#serverKind = server.kind;
    if (before === server.kind) return;
    const { member } = this.#options;
    if (server.kind === 'failing') {
      const fault = server.fault === 'disk-full' ? 'is full' : 'takes no write with fsync';
      this.#say('server-failing', `The disk of ${member} ${fault}.`, { fault: server.fault, was: server.was });
    }
    if (server.kind === 'unresponsive')
      this.#say('server-unresponsive', `PostgreSQL of ${member} does not answer.`, { forMs: server.forMs, was: server.was });
    if (before === 'starting' && (server.kind === 'primary' || server.kind === 'replica'))
      this.#say('server-started', `PostgreSQL of ${member} takes connections, as a ${server.kind}.`);
  }

  #noteAlarms(decisions: readonly Decision[]): void {
    const alarms = decisions.flatMap(({ action }) => (action.kind === 'alarm' ? [action.code] : []));
    for (const { action, reason, inputs } of decisions) {
      if (action.kind === 'alarm' && !this.#alarms.includes(action.code)) this.#say('alarm', reason, { ...inputs, code: action.code });
    }
    for (const code of this.#alarms) if (!alarms.includes(code)) this.#say('alarm-cleared', `No longer: ${code}.`, { code });
    this.#alarms = alarms;
  }

  #say(kind: EventKind, message: string, inputs: EventDraft['inputs'] = {}): void {
    const term = typeof inputs['term'] === 'number' ? inputs['term'] : (this.#versioned?.state.rule?.term ?? null);
    this.#ports.onEvent({ atMs: Date.now(), kind, member: this.#options.member, term, message, inputs });
  }

  /**
   * A look costs a busy machine more than it tells; so only a member that waits for its own server to change looks
   * often: one that starts, an elected one until it is open, a primary whose cohort is being changed, a recruit whose WAL's end is not certain yet.
   * And where looks take long they are rarer still: they must not be what keeps the machine busy.
   */
  #intervalMs(): number {
    const { heartbeatMs } = this.#options.failover;
    if (this.#pace() === 'calm') return heartbeatMs;
    return Math.min(Math.max(URGENT_INTERVAL_MS, this.#watcher.lookTookMs), heartbeatMs);
  }

  #pace(): Pace {
    const { member } = this.#options;
    const state = this.#versioned?.state;
    const server = this.#watcher.report();
    const leads = state?.rule?.primary === member;
    const opening = leads && !state?.standby && (!state?.rule?.established || this.#facts.openTerm !== state.rule.term);
    const changing = leads && monotonicMs() - this.#activeAtMs < ACTIVE_MS;
    // A delayed replica may take its whole delay to become certain, and nobody waits for it.
    const isDelayed = this.#options.applyDelayMs > 0;
    const uncertain = server?.kind === 'starting' || (server?.kind === 'replica' && server.walEnd === null && !isDelayed);
    return opening || changing || uncertain ? 'urgent' : 'calm';
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#nudged) {
      this.#nudged = false;
      return;
    }
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
    this.#nudged = false;
  }

  /** Something has changed: decide now rather than at the next tick. */
  #nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }
}

/** What others decide by; a change of it is told at once, the rest with the next heartbeat. */
function signatureOf(report: MemberReport): string {
  const { server, promisedTerm, openTerm, operation, alarms, startedAtMs, pendingRestart, installedVersion, sight } = report;
  const parts: unknown[] = [
    server.kind,
    promisedTerm,
    openTerm,
    operation?.kind,
    alarms.join(),
    startedAtMs,
    pendingRestart?.join(),
    installedVersion,
    sight?.reached.join(),
    sight?.lost.join(),
    report.source?.servers.map(({ host, port, role }) => `${host}:${port} ${role}`).join(),
    report.source?.endsWithShutdown,
  ];
  if (server.kind === 'replica') {
    const { walEnd, receiver, followsAs, replayPaused, timeline } = server;
    parts.push(followsAs, receiver?.streaming, replayPaused, timeline, followsAs === null ? walEnd?.lsn : walEnd !== null);
  }
  if (server.kind === 'primary') parts.push(server.timeline, server.synchronousNames, server.synchronousNamesInForce);
  return parts.map(String).join('|');
}
