/**
 * What more replicas buy: each server is capped in CPU, as if it had a small machine of its own; reads and writes through the router are measured with
 * 1, 2 and 4 replicas.
 *
 *   npm run bench:scaling -- [--cap 0.15] [--rounds 5] [--seconds 4] [--out bench-results]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lineChart } from '../lib/chart.ts';
import { BenchCluster } from '../lib/cluster.ts';
import { thisMachine } from '../lib/machine.ts';
import { pgbench } from '../lib/pgbench.ts';
import { median } from '../lib/stats.ts';
import { CpuCap } from './cpu-cap.ts';

const { values } = parseArgs({
  options: {
    cap: { type: 'string', default: '0.15' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    out: { type: 'string', default: 'bench-results' },
  },
});

const REPLICAS = [1, 2, 4];
/** As many for each replica at every stage: what a server does for a crowd differs from what it does for a few. */
const READERS_OF_EACH_REPLICA = 8;
const WRITERS = 8;
/** A read that costs its server far more than the router, so that the servers are what limits. */
const READ = '\\set first random(1, 900000)\nSELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :first AND :first + 2000;\n';

interface Stage {
  readonly replicas: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
}

async function measure(cluster: BenchCluster, clients: number, work: readonly string[]): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const run = { to: cluster.router, mode: 'extended', clients, seconds: Number(values.seconds), work } as const;
    rounds.push((await pgbench(run, () => undefined)).tps);
  }
  return median(rounds);
}

async function stages(cluster: BenchCluster, cap: (pid: number) => void, directory: string): Promise<Stage[]> {
  const script = join(directory, 'read.sql');
  writeFileSync(script, READ);
  const found: Stage[] = [];
  for (const replicas of REPLICAS) {
    await cluster.growTo(replicas);
    for (const pid of cluster.postmasterPids) cap(pid);
    const stage = {
      replicas,
      readsPerSecond: await measure(cluster, READERS_OF_EACH_REPLICA * replicas, ['-f', script]),
      writesPerSecond: await measure(cluster, WRITERS, ['-b', 'simple-update']),
    };
    found.push(stage);
    process.stdout.write(
      `${replicas} replicas: ${stage.readsPerSecond.toFixed(0)} reads/s, ${stage.writesPerSecond.toFixed(0)} writes/s\n`,
    );
  }
  return found;
}

function picture(found: readonly Stage[]): string {
  const xs = found.map(stage => String(stage.replicas));
  const first = found[0] as Stage;
  const relative = (value: (stage: Stage) => number): number[] => found.map(stage => value(stage) / value(first));
  const series = [
    { name: 'linear', colour: '#d1d5db', values: found.map(stage => stage.replicas / first.replicas) },
    { name: 'reads', colour: '#2563eb', values: relative(stage => stage.readsPerSecond) },
    { name: 'writes', colour: '#d97706', values: relative(stage => stage.writesPerSecond) },
  ];
  const below = `replicas; each server has ${Number(values.cap) * 100} % of a core`;
  return lineChart('Times as many as with one replica', below, [{ title: 'reads and writes through one router', xs, series }]);
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-scaling-'));
  const caps = new Map<number, CpuCap>();
  const cap = (pid: number): void => {
    if (caps.has(pid)) return;
    const group = CpuCap.create(String(caps.size), Number(values.cap));
    caps.set(pid, group);
    group.take(pid);
  };
  const cluster = await BenchCluster.start({ kept: null, replicas: REPLICAS[0] as number, maxConnections: null });
  try {
    const found = await stages(cluster, cap, directory);
    mkdirSync(values.out, { recursive: true });
    const report = {
      schema: 1,
      machine: thisMachine(),
      cap: Number(values.cap),
      readersOfEachReplica: READERS_OF_EACH_REPLICA,
      writers: WRITERS,
      stages: found,
    };
    writeFileSync(join(values.out, 'scaling.json'), `${JSON.stringify(report, null, 1)}\n`);
    writeFileSync(join(values.out, 'scaling.svg'), picture(found));
  } finally {
    for (const group of caps.values()) group.remove();
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
