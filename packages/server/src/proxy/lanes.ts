import { performance } from 'node:perf_hooks';
import type { RoutableServer, Topology } from '@understudy/core/routing';
import type { CachedStatement } from '@understudy/core/sql';
import { Frontend } from '@understudy/wire';
import type { ClientUnit } from './client-unit.ts';
import { ProxyFailure } from './errors.ts';
import { Lane, type LaneRead, type LaneRider } from './lane.ts';
import type { ProxyOptions } from './options.ts';
import { type Acquisition, Superseded } from './pool.ts';
import type { PoolUser } from './pool-users.ts';
import type { Pools } from './pools.ts';
import type { SendContext } from './send-unit.ts';
import type { ServerConnection } from './server-connection.ts';
import { applySettings } from './server-settings.ts';
import type { SettingsSet } from './settings-set.ts';

/** Lanes to one server for clients of the same user, database and settings. */
const MAX_LANES = 4;
/** Another lane is opened when each has so many reads. */
const CROWDED_DEPTH = 64;
/** A lane without reads goes back to the pool after this. */
const IDLE_MS = 1_000;
const SWEEP_MS = 25;
/** A statement that has run this often, as quickly and with as little to say, is let in. */
const KNOWN_RUNS = 3;
const MAX_MEAN_MS = 5;
/** Processors that a server is taken to have. */
const ASSUMED_CORES = 2;
const MAX_MEAN_BYTES = 16 * 1024;
const MAX_UNIT_BYTES = 8 * 1024;
const MAX_MESSAGES = 8;

interface Group {
  readonly lanes: Lane[];
  opening: Opening | null;
}

/** A lane that is on its way. */
interface Opening {
  readonly acquisition: Acquisition;
  readonly done: Promise<OpeningOutcome>;
}

/** `withdrawn`: nobody wants it any more, which says nothing of the server. */
export type OpeningOutcome = 'open' | 'withdrawn' | 'failed';

/** Settings that time the statement itself: waiting in a lane would not count. */
const TIMED = ['statement_timeout', 'transaction_timeout'] as const;

/**
 * Whether a unit may share a connection with other clients' reads: one plain read, whole, run once, by a statement that is known to be quick and small.
 */
export function mayRide(unit: ClientUnit, settings: SettingsSet): boolean {
  if (!unit.complete || unit.alone || unit.sent > 0 || unit.bytes > MAX_UNIT_BYTES || unit.messages.length > MAX_MESSAGES) return false;
  if (unit.statements.length !== 1 || unit.effects.length > 0 || unit.runsUnknown || unit.demand !== 'replica') return false;
  for (const text of unit.texts) if (!text.unit.plainRead || !isQuick(text) || asksForAddress(text)) return false;
  for (const name of TIMED) if (settings.values.has(name)) return false;
  return unit.kind === 'query' || (unit.kind === 'extended' && unit.messages.every(isPlain));
}

function isQuick({ learned }: CachedStatement): boolean {
  return learned.runs >= KNOWN_RUNS && learned.meanMs <= MAX_MEAN_MS && learned.meanBytes <= MAX_MEAN_BYTES && !learned.refusedReadOnly;
}

/** It asks by which address the server is reached: a lane may be on a Unix socket, which has none. */
function asksForAddress({ unit }: CachedStatement): boolean {
  for (const { name } of unit.functions) if (name.startsWith('inet_server_') || name.startsWith('inet_client_')) return true;
  return false;
}

/** Messages whose answers belong to one quick read and leave nothing behind. */
function isPlain({ type, statement, chunk, end }: ClientUnit['messages'][number]): boolean {
  switch (type) {
    case Frontend.parse:
    case Frontend.bind:
    case Frontend.describe:
      return statement !== null && statement.state !== 'refused' && statement.conflictsWith === null && statement.deallocates === null;
    case Frontend.execute:
      // All rows at once: the limit, the last four bytes, is 0.
      return statement !== null && chunk.readInt32BE(end - 4) === 0;
    case Frontend.sync:
      return true;
    default:
      return false;
  }
}

/**
 * How long a statement would have taken on a server that had nothing else to do: beside many others it mostly waits for a processor, and a quick one that
 * is judged by that would never get off the connections that keep the processors busy.
 */
export function aloneMs(ms: number, busyConnections: number): number {
  return ms / Math.max(1, busyConnections / ASSUMED_CORES);
}

/** Notes what a run of the statement was like. Moving averages over some eight runs. */
export function learnRun(text: CachedStatement, ms: number, bytes: number): void {
  const { learned } = text;
  learned.runs += 1;
  const weight = 1 / Math.min(learned.runs, 8);
  learned.meanMs += (ms - learned.meanMs) * weight;
  learned.meanBytes += (bytes - learned.meanBytes) * weight;
}

/** The lanes of a proxy, by server, user, database and settings. */
export class Lanes {
  readonly #pools: Pools;
  readonly #options: ProxyOptions;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<Lane>();
  readonly #sweeper: NodeJS.Timeout;
  #flushing = false;

  constructor(pools: Pools, options: ProxyOptions) {
    this.#pools = pools;
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  get count(): number {
    let count = 0;
    for (const group of this.#groups.values()) count += group.lanes.length;
    return count;
  }

  /**
   * Sends a read on a lane to this replica. A promise: there is no room, but a lane is being opened; once it resolves with `open` the read can be sent.
   * Were it to go the usual way meanwhile, a crowd would take all connections before the first lane had one. Null: there is no room, and will be none.
   */
  send(request: {
    readonly unit: ClientUnit;
    readonly rider: LaneRider;
    readonly server: RoutableServer;
    readonly term: number;
    readonly user: PoolUser;
    readonly settings: SettingsSet;
    readonly sending: SendContext;
  }): LaneRead | Promise<OpeningOutcome> | null {
    if (this.#options.lanes === 'off') return null;
    const group = this.#groupOf(request.server, request.user, request.settings);
    const now = performance.now();
    let best: Lane | null = null;
    for (const lane of group.lanes) if (lane.hasRoom(now) && (best === null || lane.depth < best.depth)) best = lane;
    if (best === null || (best.depth >= CROWDED_DEPTH && group.lanes.length < MAX_LANES)) {
      this.#open(group, request.server, request.term, request.user, request.settings, request.sending);
    }
    if (best === null) return group.opening?.done ?? null;
    const read = best.send(request.unit, request.rider, now);
    this.#flushSoon(best);
    return read;
  }

  #groupOf({ id, host, port }: RoutableServer, user: PoolUser, settings: SettingsSet): Group {
    const key = `${id} ${host} ${port} ${user.signature} ${settings.signature}`;
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { lanes: [], opening: null };
      this.#groups.set(key, group);
    }
    return group;
  }

  /** All that clients sent in one turn of the event loop goes out in one write a lane. */
  #flushSoon(lane: Lane): void {
    this.#dirty.add(lane);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      for (const dirty of this.#dirty) dirty.connection.out.flush();
      this.#dirty.clear();
    });
  }

  /** A lane is a connection of the pool, kept for as long as it is used. */
  #open(group: Group, server: RoutableServer, term: number, user: PoolUser, settings: SettingsSet, sending: SendContext): void {
    if (group.opening !== null) return;
    const pool = this.#pools.of(server, 'replica', term, user);
    if (!pool.canSpare) return;
    const acquisition = pool.acquire('socket');
    const done = acquisition.connection
      .then(async (connection): Promise<OpeningOutcome> => {
        connection.owner = connection.pool;
        await applySettings(connection, settings).catch((error: unknown) => {
          connection.destroy(error as Error);
          throw error;
        });
        if (connection.lost) return 'failed';
        group.lanes.push(this.#laneOn(connection, group, sending));
        return 'open';
      })
      // Without a lane reads go the usual way, which tells what is wrong.
      .catch((error: unknown) => (error instanceof Superseded || error instanceof ProxyFailure ? 'withdrawn' : 'failed'))
      .finally(() => {
        group.opening = null;
      });
    group.opening = { acquisition, done };
  }

  #laneOn(connection: ServerConnection, group: Group, sending: SendContext): Lane {
    const drop = (lane: Lane): void => this.#drop(lane, group);
    const onEmpty = (lane: Lane): void => {
      if (!lane.closing && !connection.pool?.lanesMustYield) return;
      drop(lane);
      this.#pools.release(connection);
    };
    connection.pool?.noteLanes(1);
    return new Lane(connection, sending, onEmpty, drop);
  }

  #drop(lane: Lane, group: Group): void {
    this.#dirty.delete(lane);
    const at = group.lanes.indexOf(lane);
    if (at < 0) return;
    group.lanes.splice(at, 1);
    lane.connection.pool?.noteLanes(-1);
  }

  /** Reads behind one that takes too long go elsewhere; lanes that nobody needs go back to their pools. */
  #sweep(): void {
    const now = performance.now();
    for (const [key, group] of this.#groups) {
      for (const lane of group.lanes.slice()) {
        lane.shedIfStalled(now);
        if (lane.depth > 0 || (now - lane.emptySinceMs < IDLE_MS && !this.#isWanted(lane))) continue;
        this.#drop(lane, group);
        this.#pools.release(lane.connection);
      }
      if (group.lanes.length === 0 && group.opening === null) this.#groups.delete(key);
    }
  }

  /** Clients wait for a connection like this one, or for room on its server: soon enough to be looked at in each sweep. */
  #isWanted({ connection }: Lane): boolean {
    return connection.pool?.isShort ?? false;
  }

  onTopology(topology: Topology): void {
    for (const group of this.#groups.values()) {
      for (const lane of group.lanes.slice()) {
        const { member } = lane.connection;
        if (!topology.replicas.some(r => r.id === member)) lane.destroy(new Error(`${member} is no replica any more`));
      }
    }
  }

  stop(): void {
    clearInterval(this.#sweeper);
    for (const group of this.#groups.values()) {
      group.opening?.acquisition.cancel();
      for (const lane of group.lanes.slice()) lane.destroy(new Error('the proxy stops'));
    }
    this.#groups.clear();
  }
}
