/**
 * What more replicas buy: each server is capped in CPU, as if it had a small machine of its own; reads and writes through the router are measured with
 * 1, 2 and 4 replicas in turn, round by round.
 *
 *   npm run bench:scaling -- [--cap 0.15] [--rounds 5] [--seconds 3] [--out bench-results]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { lineChart } from '../lib/chart.ts';
import { BenchCluster } from '../lib/cluster.ts';
import { loginSeconds, pgbench } from '../lib/pgbench.ts';
import { cpuMicroseconds, processTable } from '../lib/process-times.ts';
import { markdownTable, publish } from '../lib/publish.ts';
import { median } from '../lib/stats.ts';
import { Caps } from './cpu-cap.ts';

const { values } = parseArgs({
  options: {
    cap: { type: 'string', default: '0.15' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '3' },
    out: { type: 'string', default: 'bench-results' },
  },
});

const CAP = Number(values.cap);
const SECONDS = Number(values.seconds);
const REPLICAS: readonly number[] = [1, 2, 4];
/** As many for each replica at every stage: what a server does for a crowd differs from what it does for a few. */
const READERS_OF_EACH_REPLICA = 8;
const WRITERS = 8;
/** Before each stage, uncounted: a replica that was just copied has empty caches. */
const WARM_UP_SECONDS = 2;
/** A read that costs its server far more than the router, so that the servers are what limits; of rows that fit into a server's own cache. */
const READ = '\\set first random(1, 300000)\nSELECT sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :first AND :first + 2000;\n';
/** It would take its share of the primary's small machine whenever it likes. */
const WITHOUT_AUTOVACUUM = { autovacuum: 'off' };

/** One stage in one round. */
interface Stage {
  readonly replicas: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** CPU that the replicas used for one read, in microseconds, and what share that was of all that they were given: near 1 when they were what limited. */
  readonly replicaUsOfRead: number;
  readonly shareOfCap: number;
}

async function stage(cluster: BenchCluster, replicas: number, script: string): Promise<Stage> {
  const load = async (clients: number, seconds: number, work: readonly string[]): Promise<number> =>
    (await pgbench({ to: cluster.router, mode: 'extended', clients, seconds, work }, () => undefined)).tps;
  const readers = READERS_OF_EACH_REPLICA * replicas;
  await load(readers, WARM_UP_SECONDS, ['-f', script]);
  const before = cpuMicroseconds(processTable(), cluster.replicaPids);
  const readsPerSecond = await load(readers, SECONDS, ['-f', script]);
  const usedUs = (cpuMicroseconds(processTable(), cluster.replicaPids) - before) / (SECONDS + loginSeconds(readers));
  const writesPerSecond = await load(WRITERS, SECONDS, ['-b', 'simple-update']);
  return {
    replicas,
    readsPerSecond,
    writesPerSecond,
    replicaUsOfRead: usedUs / readsPerSecond,
    shareOfCap: usedUs / (1_000_000 * CAP * replicas),
  };
}

async function measure(cluster: BenchCluster, caps: Caps, script: string): Promise<Stage[][]> {
  const rounds: Stage[][] = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    const stages: Stage[] = [];
    for (const replicas of REPLICAS) {
      await cluster.resizeTo(replicas);
      caps.takeAll(cluster.postmasterPids);
      stages.push(await stage(cluster, replicas, script));
      process.stderr.write(`round ${round}, ${lineOf(stages.at(-1) as Stage)}\n`);
    }
    rounds.push(stages);
  }
  return rounds;
}

/** Medians of the rounds; `timesReads` and `timesWrites` are medians of the rounds' own ratios to their stage of one replica. */
function summary(
  rounds: readonly (readonly Stage[])[],
): readonly (Stage & { readonly timesReads: number; readonly timesWrites: number })[] {
  return REPLICAS.map((replicas, i) => {
    const over = (value: (stage: Stage, first: Stage) => number): number =>
      median(rounds.map(stages => value(stages[i] as Stage, stages[0] as Stage)));
    return {
      replicas,
      readsPerSecond: over(stage => stage.readsPerSecond),
      writesPerSecond: over(stage => stage.writesPerSecond),
      replicaUsOfRead: over(stage => stage.replicaUsOfRead),
      shareOfCap: over(stage => stage.shareOfCap),
      timesReads: over((stage, first) => stage.readsPerSecond / first.readsPerSecond),
      timesWrites: over((stage, first) => stage.writesPerSecond / first.writesPerSecond),
    };
  });
}

function lineOf({ replicas, readsPerSecond, writesPerSecond, replicaUsOfRead, shareOfCap }: Stage): string {
  const share = `${replicaUsOfRead.toFixed(0)} µs of a replica each, ${(100 * shareOfCap).toFixed(0)} % of what they are given`;
  return `${replicas} replicas: ${readsPerSecond.toFixed(0)} reads/s (${share}), ${writesPerSecond.toFixed(0)} writes/s`;
}

function tableOf(found: ReturnType<typeof summary>): string {
  const head = [
    'replicas',
    'reads/s',
    'times those with one',
    'writes/s',
    'times those with one',
    'µs of a replica a read',
    'of their cap',
  ];
  const rows = found.map(each => [
    String(each.replicas),
    each.readsPerSecond.toFixed(0),
    each.timesReads.toFixed(2),
    each.writesPerSecond.toFixed(0),
    each.timesWrites.toFixed(2),
    each.replicaUsOfRead.toFixed(0),
    `${(100 * each.shareOfCap).toFixed(0)} %`,
  ]);
  return markdownTable([head, ...rows]);
}

function picture(found: ReturnType<typeof summary>): string {
  const xs = found.map(({ replicas }) => String(replicas));
  const series = [
    { name: 'linear', colour: '#d1d5db', values: REPLICAS.map(replicas => replicas / (REPLICAS[0] as number)) },
    { name: 'reads', colour: '#2563eb', values: found.map(({ timesReads }) => timesReads) },
    { name: 'writes', colour: '#d97706', values: found.map(({ timesWrites }) => timesWrites) },
  ];
  const below = `replicas; each server has ${CAP * 100} % of a core`;
  return lineChart('Times as many as with one replica', below, [{ title: 'reads and writes through one router', xs, series }]);
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-scaling-'));
  const script = join(directory, 'read.sql');
  writeFileSync(script, READ);
  const caps = new Caps(CAP);
  const cluster = await BenchCluster.start({ kept: null, replicas: REPLICAS[0] as number, postgres: WITHOUT_AUTOVACUUM });
  try {
    const rounds = await measure(cluster, caps, script);
    const stages = summary(rounds);
    const words = tableOf(stages);
    process.stdout.write(words);
    publish(values.out, 'scaling', { cap: CAP, readersOfEachReplica: READERS_OF_EACH_REPLICA, writers: WRITERS, stages, rounds }, words);
    writeFileSync(join(values.out, 'scaling.svg'), picture(stages));
  } finally {
    caps.release();
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
