import { Cluster } from '../support/cluster.ts';
import { type Level, LEVELS } from './checker.ts';
import { type Disturbance, Disturber, plan } from './disturb.ts';
import { type Door, type LevelReport, type Traffic, trafficThrough } from './doors.ts';

export interface ConsistencyOptions {
  readonly seed: number;
  /** No new disturbance begins after this. */
  readonly durationMs: number;
  readonly replicas: number;
  readonly doors: readonly Door[];
  readonly onLine?: (line: string) => void;
}

/** What one door has shown. */
export interface DoorReport {
  readonly writes: number;
  readonly unknown: number;
  readonly levels: Readonly<Record<Level, LevelReport>>;
  /** Promises that were broken, in words. */
  readonly broken: readonly string[];
  /** Acknowledged writes that the primary does not have in the end. */
  readonly missing: readonly string[];
  /** Errors that no client should have seen. */
  readonly surprises: readonly string[];
}

export interface ConsistencyReport {
  readonly seed: number;
  readonly seconds: number;
  readonly disturbances: Readonly<Record<Disturbance, number>>;
  readonly doors: Readonly<Partial<Record<Door, DoorReport>>>;
  readonly clean: boolean;
}

/** Clients of every level, through all those doors at once, on a real cluster of which one replica replays two seconds late, and something happens to the others. */
export async function runConsistency({
  seed,
  durationMs,
  replicas,
  doors,
  onLine = () => undefined,
}: ConsistencyOptions): Promise<ConsistencyReport> {
  const cluster = await Cluster.prepare();
  const running = new Map<Door, Traffic>();
  try {
    const up = await cluster.up('--replicas', String(replicas));
    if (up.code !== 0) throw new Error(`up ended with ${up.code}: ${up.stderr}`);
    const disturber = new Disturber(cluster);
    await disturber.delayOne(await cluster.whenHealthy(120_000));
    for (const door of doors) running.set(door, trafficThrough(door, cluster));
    for (const traffic of running.values()) await traffic.prepare();
    for (const { table } of running.values()) await disturber.whenEverywhere(table);
    const startedAtMs = performance.now();
    for (const traffic of running.values()) traffic.start();
    const disturbances = await disturbAll(cluster, disturber, seed, durationMs, onLine);
    await stopAll(running);
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    const { members } = await cluster.whenHealthy(120_000);
    const nameOf = (port: number): string => members.find(member => member.port === port)?.id ?? String(port);
    const reports: Partial<Record<Door, DoorReport>> = {};
    for (const [door, traffic] of running) reports[door] = await reportOf(traffic, nameOf);
    const clean = [...running].every(
      ([door, { verdicts, surprises }]) => verdicts.kept && surprises.length === 0 && reports[door]?.missing.length === 0,
    );
    return { seed, seconds, disturbances, doors: reports, clean };
  } finally {
    await stopAll(running);
    await cluster.destroy();
  }
}

async function stopAll(running: ReadonlyMap<Door, Traffic>): Promise<void> {
  await Promise.all([...running.values()].map(traffic => traffic.stop()));
}

async function reportOf(traffic: Traffic, nameOf: (port: number) => string): Promise<DoorReport> {
  const levels = Object.fromEntries(
    LEVELS.map(level => {
      const byMember = Object.fromEntries([...traffic.reads[level]].map(([port, reads]) => [nameOf(port), reads]));
      const reads = [...traffic.reads[level].values()].reduce((sum, n) => sum + n, 0);
      return [level, { reads, byMember, ...traffic.verdicts.counts[level] }];
    }),
  ) as Record<Level, LevelReport>;
  const { writes, unknown, surprises } = traffic;
  return { writes, unknown, levels, broken: traffic.verdicts.broken, missing: await traffic.missing(), surprises };
}

async function disturbAll(
  cluster: Cluster,
  disturber: Disturber,
  seed: number,
  durationMs: number,
  onLine: (line: string) => void,
): Promise<Record<Disturbance, number>> {
  const counts: Record<Disturbance, number> = { 'pause-replay': 0, 'stop-replica': 0, conflict: 0, 'kill-primary': 0, switchover: 0 };
  const startedAtMs = performance.now();
  const elapsedMs = (): number => performance.now() - startedAtMs;
  const steps = plan(seed, durationMs);
  for (let step = steps.next(0); !step.done; step = steps.next(elapsedMs())) {
    const status = await cluster.whenHealthy(120_000);
    const late = await disturber.delayOne(status);
    const disturbance = step.value;
    await disturber.inflict(disturbance, status);
    counts[disturbance] += 1;
    onLine(`${Math.round(elapsedMs() / 1000)} s: ${disturbance}; ${late} replays late, term ${status.term}`);
  }
  return counts;
}
