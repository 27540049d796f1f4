import { addHistograms, type Histogram } from './histogram.ts';

/** How often, by name. Names come from closed lists or are members, so that there are never many. */
export type Counts = Readonly<Record<string, number>>;

/** Connections to one member in one role, those of all users and databases together. */
export interface PoolUse {
  readonly member: string;
  readonly role: 'primary' | 'replica';
  readonly connections: number;
  readonly idle: number;
  /** Clients that wait for one. */
  readonly waiting: number;
}

/** What a router counts beyond the reads and writes that everybody looks at. Counters are since its start; all of it adds up over workers and routers. */
export interface RouterTraffic {
  /** Of the reads, those on connections that several clients share at a time, and how many such connections there are now. */
  readonly laneReads: number;
  readonly lanes: number;
  /** Units of work that were run a second time, by SQLSTATE, `lost`, or why a lane could not carry them. */
  readonly retries: Counts;
  readonly refusedLogins: number;
  readonly cancels: number;
  /** Clients by what they do now; `pinned` of them hold a connection of their own. */
  readonly sessions: { readonly active: number; readonly idle: number; readonly inTransaction: number; readonly pinned: number };
  readonly pools: readonly PoolUse[];
  /** Parse messages: sent to a server, or answered without it since the server had the statement already. */
  readonly prepared: { readonly sent: number; readonly reused: number };
  /** How long members took to answer units of work. */
  readonly answers: Readonly<Record<string, Histogram>>;
  /** How long reads waited for a floor or for a replica, by what they waited for. */
  readonly waits: Readonly<Record<string, Histogram>>;
  /** How long statements were held for a primary. */
  readonly holds: Histogram;
  /** Statements that were held in vain, by why they failed. */
  readonly holdFailures: Counts;
}

/** Two routers as one. */
export function addTraffic(a: RouterTraffic, b: RouterTraffic): RouterTraffic {
  return {
    laneReads: a.laneReads + b.laneReads,
    lanes: a.lanes + b.lanes,
    retries: addCounts(a.retries, b.retries),
    refusedLogins: a.refusedLogins + b.refusedLogins,
    cancels: a.cancels + b.cancels,
    sessions: {
      active: a.sessions.active + b.sessions.active,
      idle: a.sessions.idle + b.sessions.idle,
      inTransaction: a.sessions.inTransaction + b.sessions.inTransaction,
      pinned: a.sessions.pinned + b.sessions.pinned,
    },
    pools: addPools([...a.pools, ...b.pools]),
    prepared: { sent: a.prepared.sent + b.prepared.sent, reused: a.prepared.reused + b.prepared.reused },
    answers: addEach(a.answers, b.answers, addHistograms),
    waits: addEach(a.waits, b.waits, addHistograms),
    holds: addHistograms(a.holds, b.holds),
    holdFailures: addCounts(a.holdFailures, b.holdFailures),
  };
}

export function addCounts(a: Counts, b: Counts): Counts {
  return addEach(a, b, (one, other) => one + other);
}

/** One entry for each member and role. */
export function addPools(pools: readonly PoolUse[]): readonly PoolUse[] {
  const found = new Map<string, PoolUse>();
  for (const pool of pools) {
    const key = `${pool.role} ${pool.member}`;
    const before = found.get(key);
    found.set(
      key,
      before === undefined
        ? pool
        : {
            ...pool,
            connections: before.connections + pool.connections,
            idle: before.idle + pool.idle,
            waiting: before.waiting + pool.waiting,
          },
    );
  }
  return [...found.values()];
}

/** What a router that has ended leaves: its counters, without what it had open. */
export function endedTraffic(traffic: RouterTraffic): RouterTraffic {
  return { ...traffic, lanes: 0, pools: [], sessions: { active: 0, idle: 0, inTransaction: 0, pinned: 0 } };
}

function addEach<T>(a: Readonly<Record<string, T>>, b: Readonly<Record<string, T>>, add: (a: T, b: T) => T): Record<string, T> {
  const sum: Record<string, T> = { ...a };
  for (const [name, value] of Object.entries(b)) sum[name] = name in sum ? add(sum[name] as T, value) : value;
  return sum;
}
