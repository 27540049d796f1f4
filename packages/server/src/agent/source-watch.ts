import {
  addressText,
  type ClusterState,
  type Lsn,
  type MemberId,
  maxLsn,
  type ServerReport,
  type SourceAddress,
  type SourceReport,
  type SourceSpec,
  standbySlotName,
  type TimelineHistory,
} from '@understudy/core/cluster';
import type { SourceFacts } from '@understudy/core/failover';
import {
  type Connection,
  dropSlot,
  HOT_STANDBY_DEFAULTS,
  KeptConnection,
  keepSourceSlot,
  lookAtSource,
  type PostgresServer,
  type SourceNeeds,
  sourceEndpoint,
  sourceFault,
} from '../postgres/index.ts';

/** The leader's look tells how far the cluster is behind, and finds a new primary of the source; the others only see whether they could lead. */
const LOOK_INTERVAL_MS = { leader: 500, other: 5000 };
const LOOK_DEADLINE_MS = 2000;
/** Slots on servers that are not streamed from move forward only when somebody moves them. */
const SLOTS_INTERVAL_MS = 10_000;
/** A restartpoint on a large server takes its time. */
const SHUTDOWN_DEADLINE_MS = 60_000;
const SHUTDOWN_INTERVAL_MS = 1000;

/** For so long after a promotion the servers of the former source are asked to drop our slots. */
const LEAVE_LIMIT_MS = 86_400_000;

/** What is known of the record at the end of the WAL here, when it ended at `lsn`. */
interface ShutdownFacts {
  readonly isLast: boolean | null;
  readonly lsn: Lsn | null;
  readonly askedAtMs: number;
  readonly isAsked: boolean;
}

const NOT_ASKED: ShutdownFacts = { isLast: null, lsn: null, askedAtMs: Number.NEGATIVE_INFINITY, isAsked: false };

/** What the look at one server of the source gave. */
type Outcome =
  | { readonly kind: 'seen'; readonly systemId: string; readonly server: SourceFacts['servers'][number] }
  | { readonly kind: 'fault'; readonly fault: SourceFacts['faults'][number] };

/** Looks at the servers of the source again and again, on a kept connection to each, and remembers how far it ever was. Never holds up who asks. */
export class SourceWatch {
  readonly #self: MemberId;
  readonly #server: PostgresServer;
  readonly #now: () => number;
  readonly #onNews: () => void;
  readonly #log: (line: string) => void;
  readonly #connections = new Map<string, KeptConnection>();
  readonly #histories = new Map<string, Map<number, TimelineHistory>>();
  #source: SourceSpec | null = null;
  #slot = '';
  /** The source that was followed, and those of its servers that still may have a slot of ours. */
  #left: {
    readonly source: SourceSpec;
    readonly hosts: readonly SourceAddress[];
    readonly atMs: number;
    readonly triedAtMs: number;
  } | null = null;
  #facts: SourceFacts | null = null;
  #lookedAtMs: number | null = null;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #looking = false;
  #slotsAtMs = Number.NEGATIVE_INFINITY;
  #newest: { readonly timeline: number; readonly lsn: Lsn; readonly atMs: number } | null = null;
  #shutdown: ShutdownFacts = NOT_ASKED;
  #primaryAtMs: number | null = null;

  constructor(self: MemberId, server: PostgresServer, now: () => number, onNews: () => void, log: (line: string) => void) {
    this.#self = self;
    this.#server = server;
    this.#now = now;
    this.#onNews = onNews;
    this.#log = log;
  }

  /** What was seen last; null before the first look. */
  get facts(): SourceFacts | null {
    return this.#facts;
  }

  /** For the member's report; null where there is no source. */
  reportWith(server: ServerReport): SourceReport | null {
    if (this.#source === null) return null;
    const now = this.#now();
    const newest = this.#newest;
    const { lsn, isLast } = this.#shutdown;
    return {
      servers: (this.#facts?.servers ?? []).map(({ host, port, role, timeline, lsn }) => ({ host, port, role, timeline, lsn })),
      faults: this.#facts?.faults ?? [],
      ageMs: this.#lookedAtMs === null ? null : Math.round(now - this.#lookedAtMs),
      newest: newest && { timeline: newest.timeline, lsn: newest.lsn, ageMs: Math.round(now - newest.atMs) },
      primarySeenMs: this.#primaryAtMs === null ? null : Math.round(now - this.#primaryAtMs),
      // What was found out of an earlier end says nothing of this one.
      endsWithShutdown: lsn !== null && lsn === heldBy(server) ? isLast : null,
    };
  }

  /** To be called at each round of the agent. Begins a look when one is due. */
  round(state: ClusterState, report: ServerReport): void {
    if (!state.standby) {
      if (this.#source !== null) this.#end(this.#source);
      this.#leave();
      return;
    }
    this.#left = null;
    this.#source = state.standby.source;
    this.#slot = standbySlotName(state.name);
    const isLeader = (state.rule?.primary ?? state.proposal?.by) === this.#self;
    const intervalMs = isLeader ? LOOK_INTERVAL_MS.leader : LOOK_INTERVAL_MS.other;
    if (this.#looking || this.#now() - this.#beganAtMs < intervalMs) return;
    this.#looking = true;
    this.#beganAtMs = this.#now();
    void this.#look(state, state.standby.source, report, isLeader)
      .catch((error: Error) => this.#log(`the source could not be looked at: ${error.message}`))
      .finally(() => {
        this.#looking = false;
        this.#onNews();
      });
  }

  async #look(state: ClusterState, source: SourceSpec, report: ServerReport, isLeader: boolean): Promise<void> {
    const atMs = this.#now();
    const members = Object.values(state.members);
    const outcomes = await Promise.all(
      source.hosts.map(async (address): Promise<Outcome> => {
        if (members.some(({ host, port }) => host === address.host && port === address.port))
          return { kind: 'fault', fault: { ...address, code: 'in-this-cluster', why: 'it is a member of this cluster' } };
        return await this.#lookAt(source, address, this.#needs(state, report));
      }),
    );
    if (this.#source === null) return;
    const seen = outcomes.flatMap(outcome => (outcome.kind === 'seen' ? [outcome] : []));
    const systemId = seen[0]?.systemId ?? null;
    this.#facts = {
      systemId,
      // Until the cluster has an identifier of its own, that of the first server counts.
      servers: seen.filter(each => each.systemId === systemId).map(({ server }) => server),
      faults: outcomes.flatMap(outcome => (outcome.kind === 'fault' ? [outcome.fault] : [])),
    };
    this.#lookedAtMs = atMs;
    this.#noteNewest(atMs);
    if (this.#facts.servers.some(({ role }) => role === 'primary')) this.#primaryAtMs = atMs;
    this.#lookForShutdown(report);
    if (isLeader && report.kind === 'replica') await this.#keepSlots(source, report);
  }

  #needs(state: ClusterState, report: ServerReport): SourceNeeds {
    const { provider, settings } = this.#server.spec;
    const own = Object.fromEntries(
      Object.entries(HOT_STANDBY_DEFAULTS).map(([name, value]) => [name, Number(settings.operator[name] ?? value)]),
    );
    return { systemId: state.systemId, major: provider.version.major, limits: report.kind === 'absent' ? own : null, slot: this.#slot };
  }

  async #lookAt(source: SourceSpec, address: SourceAddress, needs: SourceNeeds): Promise<Outcome> {
    const name = addressText(address);
    let histories = this.#histories.get(name);
    if (!histories) this.#histories.set(name, (histories = new Map()));
    const known = histories;
    try {
      return { kind: 'seen', ...(await this.#ask(source, address, connection => lookAtSource(connection, address, needs, known))) };
    } catch (error) {
      return { kind: 'fault', fault: sourceFault(address, error) };
    }
  }

  /** A kept connection may have died unnoticed: then a fresh one is asked. */
  async #ask<T>(source: SourceSpec, address: SourceAddress, use: (connection: Connection) => Promise<T>): Promise<T> {
    const name = addressText(address);
    let kept = this.#connections.get(name);
    if (!kept) this.#connections.set(name, (kept = new KeptConnection()));
    const endpoint = sourceEndpoint(this.#server.spec, source, address);
    const isKept = kept.isOpen;
    try {
      return await kept.use(endpoint, 'kept', LOOK_DEADLINE_MS, use);
    } catch (error) {
      if (!isKept) throw error;
      return await kept.use(endpoint, 'fresh', LOOK_DEADLINE_MS, use);
    }
  }

  #noteNewest(atMs: number): void {
    for (const { timeline, lsn } of this.#facts?.servers ?? []) {
      const known = this.#newest;
      const isNewer = !known || timeline > known.timeline || (timeline === known.timeline && lsn >= known.lsn);
      if (isNewer) this.#newest = { timeline, lsn, atMs };
    }
  }

  /** Only asked while no primary of the source answers: it costs a restartpoint, which may take long. Looks go on meanwhile. */
  #lookForShutdown(report: ServerReport): void {
    const hasPrimary = this.#facts?.servers.some(({ role }) => role === 'primary');
    const heldLsn = heldBy(report);
    if (hasPrimary || heldLsn === null || this.#shutdown.lsn === heldLsn) return;
    if (this.#shutdown.isAsked || this.#now() - this.#shutdown.askedAtMs < SHUTDOWN_INTERVAL_MS) return;
    this.#shutdown = { isLast: null, lsn: null, askedAtMs: this.#now(), isAsked: true };
    const note = (isLast: boolean | null): void => {
      // What could not be told is asked again.
      this.#shutdown = { ...this.#shutdown, isLast, lsn: isLast === null ? null : heldLsn, isAsked: false };
      this.#onNews();
    };
    this.#server.endsWithShutdown(SHUTDOWN_DEADLINE_MS).then(note, () => note(null));
  }

  async #keepSlots(source: SourceSpec, report: Extract<ServerReport, { kind: 'replica' }>): Promise<void> {
    const servers = this.#facts?.servers ?? [];
    const isMissing = servers.some(({ slotLsn }) => slotLsn === null);
    if (!isMissing && this.#now() - this.#slotsAtMs < SLOTS_INTERVAL_MS) return;
    this.#slotsAtMs = this.#now();
    const heldLsn = heldBy(report);
    await Promise.all(
      servers.map(address =>
        this.#ask(source, address, connection => keepSourceSlot(connection, this.#slot, heldLsn)).catch((error: Error) =>
          this.#log(`the slot ${this.#slot} on ${addressText(address)}: ${error.message}`),
        ),
      ),
    );
  }

  /** The cluster follows nobody any more. */
  #end(source: SourceSpec): void {
    this.#left = { source, hosts: source.hosts, atMs: this.#now(), triedAtMs: Number.NEGATIVE_INFINITY };
    this.#source = null;
    this.#facts = null;
    this.#lookedAtMs = null;
    this.#newest = null;
    this.#shutdown = NOT_ASKED;
    this.#primaryAtMs = null;
  }

  /** Our slots would hold back WAL on the servers of the former source, which may come back only later: each is dropped when it answers. */
  #leave(): void {
    const left = this.#left;
    if (left === null || this.#looking || this.#now() - left.triedAtMs < SLOTS_INTERVAL_MS) return;
    this.#left = { ...left, triedAtMs: this.#now() };
    this.#looking = true;
    const dropped = (address: SourceAddress): Promise<SourceAddress | null> =>
      this.#ask(left.source, address, connection => dropSlot(connection, this.#slot)).then(
        () => null,
        () => address,
      );
    void Promise.all(left.hosts.map(dropped)).then(outcomes => {
      this.#looking = false;
      const hosts = outcomes.filter(address => address !== null);
      const isOver = hosts.length === 0 || this.#now() - left.atMs > LEAVE_LIMIT_MS;
      if (this.#left !== null) this.#left = isOver ? null : { ...this.#left, hosts };
      if (!isOver) return;
      for (const connection of this.#connections.values()) connection.drop();
      this.#connections.clear();
    });
  }
}

/** Up to where the replica holds the WAL on its own disk. */
function heldBy(server: ServerReport): Lsn | null {
  if (server.kind !== 'replica') return null;
  const { receiveLsn, replayLsn } = server;
  return receiveLsn === null && replayLsn === null ? null : maxLsn(receiveLsn ?? 0n, replayLsn ?? 0n);
}
