import type { MemberId, ServerReport, TimelineHistory } from '../../src/cluster/index.ts';
import { commonLsn } from '../../src/cluster/index.ts';
import { parseStreamName } from '../../src/cluster/index.ts';
import type { AckSet } from '../../src/failover/index.ts';
import type { Connection } from './streaming.ts';
import { append, endOf, FIRST_LSN, positionOf, type WalRecord } from './wal.ts';
import type { World } from './world.ts';

/** A commit that waits for replicas. */
export interface WaitingCommit {
  readonly record: WalRecord;
  readonly acknowledged: () => void;
}

/** The names of a replica, which is never to acknowledge a commit before it leads a term. */
export const NOBODY = 'ANY 1 (nobody)';

const ANY_TERM = /^ANY (\d+) \(([^)]*)\)$/;

/** The set in PostgreSQL's own words: names of standbys, whatever they mean. */
export interface NameSet {
  readonly names: readonly string[];
  readonly acks: number;
}

export function readNames(text: string): NameSet {
  const match = ANY_TERM.exec(text);
  return match ? { names: match[2]!.split(', '), acks: Number(match[1]) } : { names: [], acks: 0 };
}

/** The little of PostgreSQL that failover depends on. It knows nothing of terms. */
export class SimPostgres {
  readonly id: MemberId;
  readonly #world: World;
  data: 'none' | 'partial' | 'whole' = 'none';
  systemId: string | null = null;
  wal: WalRecord[] = [];
  /** How many records are on disk. */
  flushed = 0;
  timeline = 1;
  history: TimelineHistory = [];
  /** pg_control's timeline: follows with the next checkpoint. */
  controlTimeline = 1;
  process: 'down' | 'starting' | 'up' = 'down';
  role: 'primary' | 'replica' = 'replica';
  frozen = false;
  disk: 'well' | 'slow' | 'frozen' | 'full' = 'well';
  diskSinceMs = 0;
  frozenSinceMs = 0;
  crashed = false;
  cleanShutdown = false;
  startedAtMs = 0;
  /** Grows with each start and each kill: what was under way for an older life is void. */
  life = 0;
  namesText = '';
  /** What new commits are checked against (shared memory, set by the checkpointer). */
  waitsFor: NameSet = { names: [], acks: 0 };
  shuttingDown = false;
  readonly connections = new Map<MemberId, Connection>();
  followsAs: string | null = null;
  upstream: MemberId | null = null;
  receiver: Connection | null = null;
  lastMessageAtMs = 0;
  /** Until then a restarted replica replays what it has, and its end is not certain. */
  replayedAtMs = 0;
  waiting: WaitingCommit[] = [];
  hasSlotsFor = new Set<string>();

  constructor(world: World, id: MemberId) {
    this.#world = world;
    this.id = id;
  }

  get alive(): boolean {
    return this.process === 'up' && !this.frozen;
  }

  get leads(): boolean {
    return this.process === 'up' && this.role === 'primary';
  }

  initialise(systemId: string): void {
    this.data = 'whole';
    this.systemId = systemId;
    this.wal = [];
    append(this.wal, 1, 'start');
    this.flushed = 1;
    this.timeline = 1;
    this.controlTimeline = 1;
    this.history = [];
    this.crashed = false;
    this.cleanShutdown = true;
  }

  start(role: 'primary' | 'replica', recoveryMs: number): void {
    if (this.data !== 'whole' || this.process !== 'down') return;
    this.life++;
    const { life } = this;
    this.process = 'starting';
    this.role = role;
    if (role === 'replica') this.namesText = NOBODY;
    this.startedAtMs = this.#world.now;
    this.followsAs = null;
    this.upstream = null;
    this.wal.length = this.flushed;
    this.#timelineOfWal();
    this.#world.events.after(recoveryMs, () => this.#started(life));
  }

  #started(life: number): void {
    if (this.life !== life || this.process !== 'starting') return;
    if (this.frozen || this.disk === 'frozen') {
      this.#world.events.after(200, () => this.#started(life));
      return;
    }
    if (this.disk === 'full') {
      this.kill(true);
      return;
    }
    this.process = 'up';
    this.cleanShutdown = false;
    this.crashed = true;
    this.shuttingDown = false;
    this.controlTimeline = this.timeline;
    this.waitsFor = readNames(this.namesText);
    if (this.role === 'primary') {
      append(this.wal, this.timeline, 'start');
      this.flush();
      this.#world.checks.primaryRuns(this);
    } else this.replayedAtMs = this.#world.now + this.#world.random.between(5, 200);
    this.#world.poke(this.id);
  }

  /** After recovery the timeline is that of the last record on disk. */
  #timelineOfWal(): void {
    const timeline = this.wal.at(-1)?.timeline ?? 1;
    if (timeline === this.timeline) return;
    this.timeline = timeline;
    this.history = this.history.filter(end => end.timeline < timeline);
  }

  /** SIGKILL, or a crash. With `host`, what was not flushed is gone; else the kernel still has it. */
  kill(crashed: boolean, host = false): void {
    if (this.process === 'down') return;
    if (!host && this.disk === 'well') this.flushed = this.wal.length;
    this.#down();
    this.crashed = crashed;
    this.#world.poke(this.id);
  }

  #down(): void {
    this.life++;
    this.process = 'down';
    this.frozen = false;
    this.shuttingDown = false;
    this.waiting = [];
    for (const connection of this.connections.values()) connection.close(this.id);
    this.connections.clear();
    this.receiver?.close(this.id);
    this.receiver = null;
    this.followsAs = null;
    this.upstream = null;
  }

  /** Clean shutdown: the last record is shipped to whoever streams, and only then the process ends. */
  shutdown(deadlineMs: number): void {
    if (this.process !== 'up' || this.shuttingDown) return;
    if (this.role === 'replica') {
      this.#down();
      this.crashed = false;
      this.#world.poke(this.id);
      return;
    }
    this.shuttingDown = true;
    append(this.wal, this.timeline, 'shutdown');
    this.flush();
    this.#awaitShipped(this.life, this.#world.now + deadlineMs);
  }

  #awaitShipped(life: number, deadlineMs: number): void {
    if (this.life !== life) return;
    const shipped = this.flushed === this.wal.length && [...this.connections.values()].every(c => c.replicaFlushed >= this.wal.length);
    if (!shipped && this.#world.now < deadlineMs) {
      this.#world.events.after(20, () => this.#awaitShipped(life, deadlineMs));
      return;
    }
    const clean = shipped && !this.frozen;
    this.#down();
    this.crashed = !clean;
    this.cleanShutdown = clean;
    this.#world.poke(this.id);
  }

  /** The promotion itself, once it was asked for. Nothing stops it but the end of the process. */
  promote(timeline: number): void {
    if (this.process !== 'up' || this.role !== 'replica') return;
    if (this.frozen || this.disk === 'frozen' || this.disk === 'full') {
      const { life } = this;
      this.#world.events.after(100, () => this.life === life && this.promote(timeline));
      return;
    }
    this.receiver?.close(this.id);
    this.receiver = null;
    this.followsAs = null;
    this.history = [...this.history, { timeline: this.timeline, endLsn: endOf(this.wal) }];
    this.timeline = timeline;
    this.role = 'primary';
    append(this.wal, timeline, 'promotion');
    this.flushed = this.wal.length;
    const { life } = this;
    this.#world.events.after(this.#world.random.between(10, 1500), () => {
      if (this.life === life) this.controlTimeline = timeline;
    });
    this.#world.checks.promoted(this);
    this.#world.checks.primaryRuns(this);
    this.#world.poke(this.id);
  }

  /** A configuration that was written is read by each process in its own time. */
  setNames(text: string): void {
    if (this.namesText === text) return;
    this.namesText = text;
    if (this.process !== 'up') return;
    this.#readNamesLater(null);
    for (const connection of this.connections.values()) this.#readNamesLater(connection);
  }

  #readNamesLater(connection: Connection | null): void {
    const { life } = this;
    this.#world.events.after(this.#world.random.between(1, 150), () => {
      if (this.life !== life) return;
      if (this.frozen) {
        this.#readNamesLater(connection);
        return;
      }
      if (connection !== null) connection.set = readNames(this.namesText);
      else {
        this.waitsFor = readNames(this.namesText);
        if (this.waitsFor.acks === 0) this.releaseUpTo(this.wal.length);
      }
      this.#world.checks.acknowledgingSets(this);
      this.#world.poke(this.id);
    });
  }

  namesInForce(): boolean {
    const now = readNames(this.namesText);
    return sameNames(this.waitsFor, now) && [...this.connections.values()].every(connection => sameNames(connection.set, now));
  }

  /** A client's commit. False when the server takes no writes now. */
  commit(acknowledged: () => void): boolean {
    if (!this.alive || this.role !== 'primary' || this.shuttingDown || this.disk === 'full' || this.disk === 'frozen') return false;
    // Now and then a large one: lengths of logs then say little about what is in them.
    const bytes = this.#world.random.chance(0.01) ? 2_000_000n : 100n;
    this.waiting.push({ record: append(this.wal, this.timeline, 'write', bytes), acknowledged });
    this.flush();
    return true;
  }

  flush(): void {
    const { life } = this;
    const upTo = this.wal.length;
    this.#world.events.after(this.disk === 'slow' ? 120 : 0.5, () => {
      if (this.life !== life) return;
      if (this.frozen || this.disk === 'frozen') {
        this.#world.events.after(100, () => this.life === life && this.flush());
        return;
      }
      this.flushed = Math.max(this.flushed, upTo);
      for (const connection of this.connections.values()) connection.wake();
      if (this.role === 'primary' && this.waitsFor.acks === 0) this.releaseUpTo(this.flushed);
    });
  }

  releaseUpTo(count: number): void {
    if (this.waiting.length === 0) return;
    const upTo = Math.min(count, this.flushed);
    const released = this.waiting.filter(commit => commit.record.index < upTo);
    if (released.length === 0) return;
    this.waiting = this.waiting.filter(commit => commit.record.index >= upTo);
    for (const commit of released) commit.acknowledged();
  }

  /** SyncRepReleaseWaiters: the walsender that had an answer counts by its own configuration, each candidate stands by its own. */
  replied(by: Connection): void {
    if (this.waiting.length === 0 || !by.set.names.includes(by.applicationName)) return;
    const flushed: number[] = [];
    for (const c of this.connections.values()) if (c.set.names.includes(c.applicationName)) flushed.push(c.replicaFlushed);
    flushed.sort((a, b) => b - a);
    const nth = flushed[by.set.acks - 1];
    if (nth !== undefined) this.releaseUpTo(nth);
  }

  freeze(): void {
    if (this.process === 'down' || this.frozen) return;
    this.frozen = true;
    this.frozenSinceMs = this.#world.now;
  }

  setDisk(disk: SimPostgres['disk']): void {
    if (disk === this.disk) return;
    this.disk = disk;
    this.diskSinceMs = this.#world.now;
  }

  /** What its own agent sees. */
  observe(): ServerReport {
    const { now } = this.#world;
    if (this.data !== 'whole') return { kind: 'absent' };
    if (this.process === 'down')
      return {
        kind: 'stopped',
        cleanShutdown: this.cleanShutdown,
        timeline: this.controlTimeline,
        checkpointLsn: this.cleanShutdown ? endOf(this.wal) - 120n : FIRST_LSN,
        crashed: this.crashed,
      };
    if (this.process === 'starting') return { kind: 'starting', sinceMs: now - this.startedAtMs };
    if (this.frozen) return { kind: 'unresponsive', forMs: now - this.frozenSinceMs, was: this.role };
    if (this.disk === 'full' || this.disk === 'frozen')
      return { kind: 'failing', forMs: now - this.diskSinceMs, was: this.role, fault: this.disk === 'full' ? 'disk-full' : 'fsync' };
    return this.role === 'primary' ? this.#observePrimary() : this.#observeReplica();
  }

  #observePrimary(): ServerReport {
    return {
      kind: 'primary',
      timeline: this.timeline,
      history: this.history,
      insertLsn: endOf(this.wal),
      flushLsn: this.lsnAt(this.flushed),
      senders: [...this.connections.values()].map(c => c.observe()),
      synchronousNames: this.namesText,
      synchronousNamesInForce: this.namesInForce(),
    };
  }

  #observeReplica(): ServerReport {
    const { now, mutation } = this.#world;
    const certain = now >= this.replayedAtMs;
    const end = { timeline: this.timeline, lsn: this.lsnAt(this.flushed), history: this.history };
    return {
      kind: 'replica',
      timeline: this.timeline,
      history: this.history,
      receiveLsn: end.lsn,
      replayLsn: certain ? end.lsn : FIRST_LSN,
      walEnd: certain ? end : mutation.uncertainEnd(end, this.wal),
      receiver:
        this.receiver === null
          ? null
          : { applicationName: this.receiver.applicationName, streaming: true, lastMessageAgeMs: now - this.lastMessageAtMs },
      replayPaused: false,
      followsAs: this.followsAs,
    };
  }

  lsnAt(count: number): bigint {
    return count === 0 ? FIRST_LSN : this.wal[count - 1]!.endLsn;
  }

  /** Whether PostgreSQL itself would stream to this replica: by the numbers of timelines, as it does. */
  wouldServe(replica: SimPostgres): boolean {
    const own = positionOf(this.wal, this.history, this.timeline);
    const other = positionOf(replica.wal, replica.history, replica.timeline);
    return commonLsn(other, { ...own, lsn: this.lsnAt(this.flushed) }) >= other.lsn;
  }
}

function sameNames(a: NameSet, b: NameSet): boolean {
  return a.acks === b.acks && a.names.length === b.names.length && a.names.every((name, i) => name === b.names[i]);
}

/** The members behind the names; a name that is not ours counts as nobody. */
export function ackSetOf(set: NameSet): AckSet {
  return { cohort: set.names.map(name => parseStreamName(name)?.id ?? name).sort(), acks: set.acks };
}

/** Nobody answers to this name: a process that goes by it lets no commit through. */
export function isNobody(set: NameSet): boolean {
  return set.names.length === 1 && set.names[0] === 'nobody';
}
