import { performance } from 'node:perf_hooks';
import type { RoutableServer } from '@understudy/core/routing';
import type { CachedStatement } from '@understudy/core/sql';
import { handleOf } from '../servers/handle.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import { Lane, type LaneRead } from './lane.ts';

/** Lanes to one server. */
const MAX_LANES = 2;
/** Another lane is opened when each has so many reads. */
const CROWDED_DEPTH = 16;
/** After a lane could not be opened reads go the usual way for so long. */
const RETRY_MS = 1_000;
/** A statement that has run this often, as quickly and with as little to say, is let in. */
const KNOWN_RUNS = 3;
const MAX_MEAN_MS = 10;
const MAX_MEAN_BYTES = 16 * 1024;
/** Reads behind one that takes longer than this go elsewhere. */
const STALL_MS = 50;
const SWEEP_MS = 25;

interface Group {
  readonly lanes: Lane[];
  readonly pool: ServerPool;
  opening: boolean;
  notBeforeMs: number;
}

/** Whether the statement is known to be quick and small enough to share a connection. */
export function mayShare({ unit, learned }: CachedStatement): boolean {
  return unit.plainRead && learned.runs >= KNOWN_RUNS && learned.meanMs <= MAX_MEAN_MS && learned.meanBytes <= MAX_MEAN_BYTES;
}

/** Notes what a run of the statement, alone on its connection, was like. Moving averages over some eight runs. */
export function learnRun({ learned }: CachedStatement, ms: number, bytes: number): void {
  learned.runs += 1;
  const weight = 1 / Math.min(learned.runs, 8);
  learned.meanMs += (ms - learned.meanMs) * weight;
  learned.meanBytes += (bytes - learned.meanBytes) * weight;
}

/** The shared connections of a router, by server. */
export class Lanes {
  readonly #poolOf: (server: RoutableServer) => ServerPool;
  readonly #idleTimeoutMs: number;
  readonly #groups: Map<string, Group> = new Map();
  #sweeper: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(poolOf: (server: RoutableServer) => ServerPool, idleTimeoutMs: number) {
    this.#poolOf = poolOf;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Sends the read to the server. False: there is no room at the moment, it must go the usual way. */
  send(server: RoutableServer, term: number, minTerm: number, read: LaneRead): boolean {
    const group = this.#groupOf(server);
    let best: Lane | null = null;
    for (const lane of group.lanes) {
      if (lane.hasRoom && lane.connection.term >= minTerm && (best === null || lane.depth < best.depth)) best = lane;
    }
    if (best === null || (best.depth >= CROWDED_DEPTH && group.lanes.length < MAX_LANES)) this.#open(server.id, group, term);
    if (best === null) return false;
    best.send(read, performance.now());
    return true;
  }

  /** The pool of a server may have been replaced with its address. */
  #groupOf(server: RoutableServer): Group {
    const pool = this.#poolOf(server);
    const known = this.#groups.get(server.id);
    if (known?.pool === pool) return known;
    known?.lanes.slice().forEach(lane => lane.destroy());
    const group: Group = { lanes: [], pool, opening: false, notBeforeMs: 0 };
    this.#groups.set(server.id, group);
    return group;
  }

  #open(id: string, group: Group, term: number): void {
    if (group.opening || this.#stopped || group.lanes.length >= MAX_LANES || performance.now() < group.notBeforeMs) return;
    group.opening = true;
    group.pool
      .open(term)
      .then(
        connection => {
          if (this.#stopped || this.#groups.get(id) !== group) return group.pool.drop(connection);
          group.lanes.push(new Lane(connection, performance.now(), lane => this.#forget(group, lane)));
          this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
        },
        // Reads go the usual way, which tells what is wrong.
        () => {
          group.notBeforeMs = performance.now() + RETRY_MS;
        },
      )
      .finally(() => {
        group.opening = false;
      });
  }

  #forget(group: Group, lane: Lane): void {
    const at = group.lanes.indexOf(lane);
    if (at >= 0) group.lanes.splice(at, 1);
    group.pool.drop(lane.connection);
  }

  #sweep(): void {
    const now = performance.now();
    let open = 0;
    for (const group of this.#groups.values()) {
      for (const lane of group.lanes.slice()) {
        const { busySinceMs } = lane;
        if (busySinceMs !== null && lane.depth > 1 && now - busySinceMs > STALL_MS) unlearn(lane.shed());
        if (busySinceMs === null && this.#idleTimeoutMs > 0 && now - lane.emptySinceMs > this.#idleTimeoutMs) this.#forget(group, lane);
      }
      open += group.lanes.length;
    }
    if (open > 0 || this.#sweeper === null) return;
    clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
    const open = [...this.#groups.values()].flatMap(group => group.lanes);
    const closing = open.map(({ connection: { client } }) => {
      // Whoever waits for the end must live to see it.
      handleOf(client).ref();
      return client.end();
    });
    await Promise.allSettled(closing);
  }
}

/** It was not quick: it has to show anew that it is. */
function unlearn(statement: CachedStatement | null): void {
  if (statement === null) return;
  statement.learned.runs = 0;
  statement.learned.meanMs = STALL_MS;
}
