import pg from 'pg';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { type Append, check, type History, isClean, longestGapMs, type Verdict } from './checker.ts';
import { mayMount, mountDisks } from './disks.ts';
import { FAULTS, inflict, plan, SIMPLE_FAULTS } from './faults.ts';
import { Workload } from './workload.ts';

const NOTICE_LIMIT_MS = 5000;

export interface ChaosOptions {
  readonly seed: number;
  /** No new fault begins after this. */
  readonly durationMs: number;
  readonly replicas: number;
  /**
   * `simple`: single faults, and clients behind the router. `all`: copies cut off, two faults at once and a writer past the router as well; and where mounts are
   * possible, each member has a small disk of its own, which is filled.
   */
  readonly scope: 'simple' | 'all';
  readonly onLine?: (line: string) => void;
}

export interface InflictedFault {
  /** One fault, or two joined by a plus sign. */
  readonly fault: string;
  readonly atMs: number;
  readonly healthyAtMs: number;
  /** The longest time without an acknowledged write around it. */
  readonly outageMs: number;
}

/** What the cluster said of itself, on the clock of the run. */
export interface Mark {
  readonly atMs: number;
  readonly kind: string;
  readonly text: string;
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
  readonly marks: readonly Mark[];
  readonly appends: readonly Append[];
}

/** Writers and readers on a real cluster, and one fault after the other; then what was seen is held against what is there. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const cluster = await Cluster.start('--replicas', String(options.replicas));
  let unmount: (() => void) | null = null;
  try {
    if (options.scope === 'all' && mayMount(cluster.parent)) {
      await cluster.command('down');
      unmount = mountDisks(cluster);
      await cluster.up();
    }
    return await befall(cluster, options, unmount !== null);
  } finally {
    if (unmount === null) await cluster.destroy();
    else {
      await cluster.command('down');
      unmount();
      await cluster.destroy();
    }
  }
}

async function befall(
  cluster: Cluster,
  { seed, durationMs, scope, onLine = () => undefined }: ChaosOptions,
  canFillDisks: boolean,
): Promise<ChaosReport> {
  const workload = new Workload(cluster.url, () => directUrl(cluster));
  await workload.prepare();
  workload.start({ writers: 4, readers: 3, direct: scope === 'all' ? 1 : 0 });
  const faults = await inflictAll(cluster, planOf(scope, seed, canFillDisks), durationMs, onLine).finally(() => workload.stop());
  const events = await allEvents(cluster);
  const history: History = {
    appends: workload.appends,
    reads: workload.reads,
    final: await finalLists(cluster),
    elections: elections(events),
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
    marks: events.map(({ atMs, kind, message }) => ({ atMs: atMs - performance.timeOrigin, kind, text: message })),
    appends: workload.appends,
  };
}

function planOf(scope: ChaosOptions['scope'], seed: number, canFillDisks: boolean): ReturnType<typeof plan> {
  if (scope === 'simple') return plan(seed, SIMPLE_FAULTS, 0);
  return plan(
    seed,
    FAULTS.filter(fault => canFillDisks || fault !== 'fill-disk'),
    3,
  );
}

async function directUrl(cluster: Cluster): Promise<string> {
  const url = new URL(cluster.url);
  url.port = String(primaryOf(await cluster.status()).port);
  return url.href;
}

async function inflictAll(
  cluster: Cluster,
  blows: ReturnType<typeof plan>,
  durationMs: number,
  onLine: (line: string) => void,
): Promise<Omit<InflictedFault, 'outageMs'>[]> {
  const faults: Omit<InflictedFault, 'outageMs'>[] = [];
  const end = performance.now() + durationMs;
  for (const blow of blows) {
    const fault = blow.join(' + ');
    const status = await cluster.whenHealthy(120_000);
    if (performance.now() > end) return faults;
    const atMs = performance.now();
    await inflict(blow, cluster, status);
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

async function allEvents(cluster: Cluster): Promise<readonly ClusterEvent[]> {
  const response = await fetch(`http://127.0.0.1:${cluster.httpPort}/events?limit=2000`);
  return ((await response.json()) as { events: ClusterEvent[] }).events;
}

function elections(events: readonly ClusterEvent[]): History['elections'] {
  return events.filter(e => e.kind === 'primary-elected').map(e => ({ term: e.term!, primary: String(e.inputs['primary']) }));
}
