import type { FailoverConfig, ServerReport } from '@understudy/core/cluster';
import { type DiskReport, type Observation, PostgresError, type PostgresServer, readVitals } from '../postgres/index.ts';
import { MessageClock } from './message-clock.ts';
import { SilenceMeter } from './silence.ts';

/** How often the disk is probed; each probe is a write and an fsync. */
const DISK_INTERVAL_MS = 1000;
/** A server that has not answered for this long is told as unresponsive; less is a busy machine, and routers would hold work for nothing. */
const SLOW_MS = 1000;
/** One look gives up after this, and after twice as long each time that the one before got no answer: on a starved machine short ones would never end. */
const LOOK_MS = 1000;
const MAX_LOOK_MS = 8000;
/**
 * How often a look is taken on a fresh connection, which alone shows that new ones are served; the others cost a fraction of it. While somebody waits
 * for each look that is rarer: a fresh one takes as long as a whole election should.
 */
const FRESH_INTERVAL_MS = { calm: 750, urgent: 3000 };
export type Pace = keyof typeof FRESH_INTERVAL_MS;

/**
 * Watches one server: a look has a deadline; one that got no answer is followed by fresh connections until one of these is answered. At most one look
 * of the rounds is under way, and beside it those that are taken anew after an action; what the newest saw counts. What is known can be asked for
 * at any moment without waiting, so that a server that hangs does not hang its agent.
 */
export class ServerWatcher {
  readonly #server: PostgresServer;
  readonly #config: FailoverConfig;
  readonly #now: () => number;
  #report: ServerReport | null = null;
  #observation: Observation | null = null;
  #systemId: string | null = null;
  /** When the running server last answered; null until it has done so once. */
  #answeredAtMs: number | null = null;
  #unansweredLooks = 0;
  /** When the running server last answered a fresh connection. */
  #freshAtMs = Number.NEGATIVE_INFINITY;
  readonly #silence: SilenceMeter;
  readonly #messages = new MessageClock();
  #disk: { readonly report: DiskReport; readonly sinceMs: number } | null = null;
  #diskProbedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #lookTookMs = 0;
  #knownSinceMs = Number.NEGATIVE_INFINITY;

  constructor(server: PostgresServer, config: FailoverConfig, now: () => number) {
    this.#server = server;
    this.#config = config;
    this.#now = now;
    this.#silence = new SilenceMeter(config.heartbeatMs * 2);
  }

  /** The last full look at a running server. */
  get observation(): Observation | null {
    return this.#observation;
  }

  /** When the running server last answered (monotonic); 0 before it has. */
  get answeredAtMs(): number {
    return this.#answeredAtMs ?? 0;
  }

  /** When the last look ended, whatever it saw. */
  get lookedAtMs(): number {
    return this.#lookedAtMs;
  }

  /** How long the last look took. */
  get lookTookMs(): number {
    return this.#lookTookMs;
  }

  /** When the last look that told something began (monotonic): what is known is true of no moment before that. */
  get knownSinceMs(): number {
    return this.#knownSinceMs;
  }

  get systemId(): string | null {
    return this.#systemId;
  }

  /** To be called at each round: counts the silence of a server that has not answered. */
  measureSilence(): void {
    const { pid } = this.#server;
    if (pid === null) return;
    // A server that answers is not looked into: that costs a few files a process.
    this.#silence.measure(this.#now(), this.#silence.countedMs > this.#config.heartbeatMs ? readVitals(pid) : null);
  }

  /** What the server is now; null while nothing is known of this life of it. */
  report(): ServerReport | null {
    const silentMs = Math.round(this.#silence.countedMs);
    if (this.#report?.kind === 'starting') return { kind: 'starting', sinceMs: silentMs };
    if (this.#report?.kind !== 'primary' && this.#report?.kind !== 'replica') return this.#report;
    const was = this.#report.kind;
    if (silentMs >= Math.min(SLOW_MS, this.#config.hangTimeoutMs)) return { kind: 'unresponsive', forMs: silentMs, was };
    return this.#failing(was, this.#now()) ?? this.#report;
  }

  /** Must be told of each start and end of a postmaster: what was known of it is void. Its disk is the same. */
  reset(): void {
    this.#observation = null;
    this.#answeredAtMs = null;
    this.#unansweredLooks = 0;
    this.#freshAtMs = Number.NEGATIVE_INFINITY;
    this.#silence.restart(this.#now());
    this.#report = this.#server.pid === null ? null : { kind: 'starting', sinceMs: 0 };
  }

  /** Looks once; joins a look of this kind that is under way. */
  async look(pace: Pace = 'calm'): Promise<void> {
    this.#looking ??= this.#timedLook(FRESH_INTERVAL_MS[pace]).finally(() => {
      this.#looking = null;
    });
    await this.#looking;
  }

  /** Looks from the beginning: what a look that is under way sees may be older than the change that was made. */
  async lookAnew(): Promise<void> {
    await this.#timedLook(FRESH_INTERVAL_MS.urgent);
  }

  async #timedLook(freshIntervalMs: number): Promise<void> {
    const beganAtMs = this.#now();
    await this.#look(freshIntervalMs).finally(() => {
      this.#lookedAtMs = this.#now();
      this.#lookTookMs = this.#lookedAtMs - beganAtMs;
    });
  }

  /** A look during which the postmaster began or ended tells nothing: then it is taken again. */
  async #look(freshIntervalMs: number): Promise<void> {
    for (;;) {
      const { pid } = this.#server;
      if (pid === null) await this.#lookStopped();
      else await this.#lookRunning(pid, freshIntervalMs);
      if (this.#server.pid === pid) return;
    }
  }

  async #lookRunning(pid: number, freshIntervalMs: number): Promise<void> {
    const beganAtMs = this.#now();
    try {
      if (this.#answeredAtMs === null && !(await this.#server.takesConnections())) return this.#noteStarting(pid);
      const freshness = this.#unansweredLooks > 0 || beganAtMs - this.#freshAtMs >= freshIntervalMs ? 'fresh' : 'kept';
      const seen = await this.#server.observe(this.#lookLimitMs(), freshness);
      if (this.#server.pid !== pid) return;
      if (freshness === 'fresh') this.#freshAtMs = Math.max(this.#freshAtMs, beganAtMs);
      // One that began later has seen more.
      if (beganAtMs < this.#knownSinceMs) return;
      this.#answeredAtMs = this.#now();
      this.#observation = this.#withMessageAge(seen, this.#answeredAtMs);
      this.#report = reportOf(this.#observation);
      this.#systemId = seen.systemId;
      this.#unansweredLooks = 0;
      this.#silence.restart(this.#answeredAtMs);
      this.#knownSinceMs = beganAtMs;
      this.#probeDisk();
    } catch (error) {
      if (!(error instanceof PostgresError)) throw error;
      this.#unansweredLooks += 1;
      if (this.#answeredAtMs === null) this.#noteStarting(pid);
    }
  }

  #withMessageAge(seen: Observation, nowMs: number): Observation {
    if (seen.kind !== 'replica') return seen;
    const { receiver, source } = seen;
    const receipt = receiver && source ? { pid: source.pid, receivedAt: source.receivedAt, ageMs: receiver.lastMessageAgeMs } : null;
    const lastMessageAgeMs = this.#messages.note(receipt, nowMs);
    return { ...seen, receiver: receiver && { ...receiver, lastMessageAgeMs } };
  }

  #noteStarting(pid: number): void {
    if (this.#server.pid === pid) this.#report = { kind: 'starting', sinceMs: 0 };
  }

  #lookLimitMs(): number {
    return Math.min(LOOK_MS, this.#config.hangTimeoutMs) * Math.min(2 ** this.#unansweredLooks, MAX_LOOK_MS / LOOK_MS);
  }

  async #lookStopped(): Promise<void> {
    const beganAtMs = this.#now();
    // The report says what is wrong with a directory that has no identifier.
    const [stopped, systemId] = await Promise.all([this.#server.reportStopped(), this.#server.systemId().catch(() => null)]);
    if (this.#server.pid !== null) return;
    this.#observation = null;
    this.#report = stopped;
    this.#knownSinceMs = beganAtMs;
    this.#systemId = stopped.kind === 'absent' ? null : systemId;
  }

  /** Not awaited: a disk that does not answer must not hold up the look. */
  #probeDisk(): void {
    const now = this.#now();
    if (now - this.#diskProbedAtMs < DISK_INTERVAL_MS) return;
    this.#diskProbedAtMs = now;
    void this.#server.probeDisk(DISK_INTERVAL_MS).then(report => {
      const sick = report.kind !== 'well';
      this.#disk = sick ? { report, sinceMs: this.#disk?.sinceMs ?? now } : null;
    });
  }

  #failing(was: 'primary' | 'replica', now: number): ServerReport | null {
    if (!this.#disk) return null;
    const fault = this.#disk.report.kind === 'full' ? 'disk-full' : 'fsync';
    return { kind: 'failing', was, fault, forMs: Math.round(now - this.#disk.sinceMs) };
  }
}

/** The part of an observation that is told to others. */
function reportOf(seen: Observation): ServerReport {
  if (seen.kind === 'primary') {
    const { kind, timeline, history, insertLsn, flushLsn, senders, synchronousNames, synchronousNamesInForce, failoverSlots } = seen;
    return {
      kind,
      timeline,
      history,
      insertLsn,
      flushLsn,
      senders,
      synchronousNames,
      synchronousNamesInForce,
      failoverSlots: failoverSlots ?? [],
    };
  }
  const { kind, timeline, history, receiveLsn, replayLsn, walEnd, receiver, replayPaused, followsAs } = seen;
  const { followsAt = null, replayedCommitAtMs = null } = seen;
  return { kind, timeline, history, receiveLsn, replayLsn, walEnd, receiver, replayPaused, followsAs, followsAt, replayedCommitAtMs };
}
