import { Cluster } from '../support/cluster.ts';
import { type Anomalies, type Level, LEVELS } from './checker.ts';
import { type Disturbance, Disturber, plan } from './disturb.ts';
import { Workload } from './workload.ts';

export interface ConsistencyOptions {
  readonly seed: number;
  /** No new disturbance begins after this. */
  readonly durationMs: number;
  readonly replicas: number;
  readonly onLine?: (line: string) => void;
}

export interface LevelReport extends Anomalies {
  readonly reads: number;
  /** Share of the reads that somebody else than the primary of that moment answered, as far as one primary was there. */
  readonly byMember: Readonly<Record<string, number>>;
}

export interface ConsistencyReport {
  readonly seed: number;
  readonly seconds: number;
  readonly writes: number;
  readonly unknown: number;
  readonly disturbances: Readonly<Record<Disturbance, number>>;
  readonly levels: Readonly<Record<Level, LevelReport>>;
  /** Promises that were broken, in words. */
  readonly broken: readonly string[];
  /** Acknowledged appends that the primary does not have in the end. */
  readonly missing: readonly string[];
  /** Errors that no client should have seen. */
  readonly surprises: readonly string[];
  readonly clean: boolean;
}

/** Clients of every level on a real cluster of which one replica replays two seconds late, and something happens to the others all the time. */
export async function runConsistency({
  seed,
  durationMs,
  replicas,
  onLine = () => undefined,
}: ConsistencyOptions): Promise<ConsistencyReport> {
  const cluster = await Cluster.prepare();
  let running: Workload | null = null;
  try {
    const up = await cluster.up('--replicas', String(replicas));
    if (up.code !== 0) throw new Error(`up ended with ${up.code}: ${up.stderr}`);
    const disturber = new Disturber(cluster);
    await disturber.delayOne(await cluster.whenHealthy(120_000));
    const workload = new Workload(cluster.url, 4);
    running = workload;
    await workload.prepare();
    await disturber.whenEverywhere('lists');
    const startedAtMs = performance.now();
    workload.start(2);
    const disturbances = await disturbAll(cluster, disturber, seed, durationMs, onLine);
    await workload.stop();
    const seconds = Math.round((performance.now() - startedAtMs) / 1000);
    const { members } = await cluster.whenHealthy(120_000);
    const nameOf = (port: number): string => members.find(member => member.port === port)?.id ?? String(port);
    const missing = await workload.missing();
    const levels = Object.fromEntries(
      LEVELS.map(level => {
        const byMember = Object.fromEntries([...workload.reads[level]].map(([port, reads]) => [nameOf(port), reads]));
        const reads = [...workload.reads[level].values()].reduce((sum, n) => sum + n, 0);
        return [level, { reads, byMember, ...workload.verdicts.counts[level] }];
      }),
    ) as Record<Level, LevelReport>;
    return {
      seed,
      seconds,
      writes: workload.writes,
      unknown: workload.unknown,
      disturbances,
      levels,
      broken: workload.verdicts.broken,
      missing,
      surprises: workload.surprises,
      clean: workload.verdicts.kept && missing.length === 0 && workload.surprises.length === 0,
    };
  } finally {
    await running?.stop();
    await cluster.destroy();
  }
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
