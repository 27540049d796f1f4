import pg from 'pg';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { Cluster } from '../support/cluster.ts';
import { type Append, check, type History, isClean, longestGapMs, type Verdict } from './checker.ts';
import { type Fault, inflict, plan } from './faults.ts';
import { Workload } from './workload.ts';

const NOTICE_LIMIT_MS = 5000;

export interface ChaosOptions {
  readonly seed: number;
  /** No new fault begins after this. */
  readonly durationMs: number;
  readonly replicas: number;
  readonly onLine?: (line: string) => void;
}

export interface InflictedFault {
  readonly fault: Fault;
  readonly atMs: number;
  readonly healthyAtMs: number;
  /** The longest time without an acknowledged write around it. */
  readonly outageMs: number;
}

export interface ChaosReport {
  readonly seed: number;
  readonly faults: readonly InflictedFault[];
  readonly acknowledged: number;
  readonly unknown: number;
  readonly rolledBack: number;
  readonly reads: number;
  readonly verdict: Verdict;
  readonly surprises: readonly string[];
  readonly clean: boolean;
  readonly appends: readonly Append[];
}

/** Writers and readers on a real cluster, and one fault after the other; then what was seen is held against what is there. */
export async function runChaos({ seed, durationMs, replicas, onLine = () => undefined }: ChaosOptions): Promise<ChaosReport> {
  const cluster = await Cluster.start('--replicas', String(replicas));
  try {
    const workload = new Workload(cluster.url);
    await workload.prepare();
    workload.start(4, 3);
    const faults = await inflictAll(cluster, seed, durationMs, onLine);
    await workload.stop();
    const history: History = {
      appends: workload.appends,
      reads: workload.reads,
      final: await finalLists(cluster),
      elections: await elections(cluster),
    };
    const verdict = check(history);
    const count = (outcome: Append['outcome']): number => workload.appends.filter(a => a.outcome === outcome).length;
    return {
      seed,
      faults: faults.map(f => ({ ...f, outageMs: Math.round(longestGapMs(workload.appends, f.atMs, f.healthyAtMs)) })),
      acknowledged: count('acknowledged'),
      unknown: count('unknown'),
      rolledBack: count('rolled-back'),
      reads: workload.reads.length,
      verdict,
      surprises: workload.surprises,
      clean: isClean(verdict) && workload.surprises.length === 0,
      appends: workload.appends,
    };
  } finally {
    await cluster.destroy();
  }
}

async function inflictAll(
  cluster: Cluster,
  seed: number,
  durationMs: number,
  onLine: (line: string) => void,
): Promise<Omit<InflictedFault, 'outageMs'>[]> {
  const faults: Omit<InflictedFault, 'outageMs'>[] = [];
  const end = performance.now() + durationMs;
  for (const fault of plan(seed)) {
    const status = await cluster.whenHealthy(120_000);
    if (performance.now() > end) return faults;
    const atMs = performance.now();
    await inflict(fault, cluster, status);
    await cluster.whenStatus('a sign of the fault', s => signsOf(s) !== signsOf(status), NOTICE_LIMIT_MS).catch(() => undefined);
    await cluster.whenHealthy(120_000);
    faults.push({ fault, atMs, healthyAtMs: performance.now() });
    onLine(`${fault}: healthy again after ${Math.round(performance.now() - atMs)} ms, term ${(await cluster.status()).term}`);
  }
  return faults;
}

/** What a fault changes; a stopped agent may pass without a sign. */
function signsOf({ verdict, term, members }: StatusDocument): string {
  return JSON.stringify([verdict, term, members.map(m => [m.state, m.postmasterPid, m.agentPid])]);
}

async function finalLists(cluster: Cluster): Promise<ReadonlyMap<number, readonly string[]>> {
  const client = new pg.Client({ connectionString: cluster.url });
  await client.connect();
  const { rows } = await client.query<{ key: number; items: string[] }>('/* understudy:primary */ select key, items from lists');
  await client.end();
  return new Map(rows.map(row => [row.key, row.items]));
}

async function elections(cluster: Cluster): Promise<History['elections']> {
  const response = await fetch(`http://127.0.0.1:${cluster.httpPort}/events?limit=1000`);
  const { events } = (await response.json()) as { events: ClusterEvent[] };
  return events.filter(e => e.kind === 'primary-elected').map(e => ({ term: e.term!, primary: String(e.inputs['primary']) }));
}
