/**
 * npm run blog:measure -- [--seconds 8]
 *
 * The three questions of the README, with numbers. All servers share this machine, so what is told is the load of each and not how much more they could bear together: that is
 * `npm run bench:scaling`, where each server has a part of a core.
 */
import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { BlogCluster } from './cluster.ts';
import { Door } from './door.ts';
import { perServer, quantile } from './live.ts';
import type { TrafficPlan } from './traffic.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '8' } } });
const SECONDS = Number(values.seconds);
const CALM: TrafficPlan = { visitors: 40, thinkMs: 100, readsPerWrite: 100, cookies: true };

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const ms = (latencies: readonly number[], share: number): string => `${quantile(latencies, share).toFixed(1)} ms`;

/** One line of the first two questions: what the visitors got, and what each server did for it. */
async function measure(cluster: BlogCluster, door: Door, name: string, plan: TrafficPlan): Promise<void> {
  const wal = await cluster.walPositions();
  const start = performance.now();
  const { tally, before, after, seconds } = await door.run(plan, () => sleep(SECONDS * 1000));
  const written = await cluster.walPositions();
  const walSeconds = (performance.now() - start) / 1000;
  const { reads, writes, stale, latenciesMs } = tally;
  say(
    `${name}: ${(reads / seconds).toFixed(0)} pages/s, p50 ${ms(latenciesMs, 0.5)}, p99 ${ms(latenciesMs, 0.99)}; ${(writes / seconds).toFixed(1)} writes/s; stale ${stale}`,
  );
  say(`    reads/s answered: ${perServer(before, after, seconds)}`);
  const kilobytes = [...written].map(([id, at]) => `${id} ${(Number(at - (wal.get(id) ?? at)) / 1024 / walSeconds).toFixed(1)}`);
  say(`    kB/s of WAL written (${await cluster.primary()}) or replayed: ${kilobytes.join('  ')}`);
}

async function doubling(cluster: BlogCluster, door: Door): Promise<void> {
  say(
    `\nWhere writes and reads go, and what a replica more helps when traffic doubles (a hundred reads for a write; ${await cluster.primary()} is the primary)`,
  );
  const viral = { ...CALM, visitors: CALM.visitors * 2 };
  await measure(cluster, door, '1 replica, 40 visitors', CALM);
  await measure(cluster, door, '1 replica, 80 visitors', viral);
  await cluster.addReplica();
  // A new replica gets its full share after a while.
  await door.run(viral, () => sleep(6_000));
  await measure(cluster, door, '2 replicas, 80 visitors', viral);
}

async function crash(cluster: BlogCluster, door: Door): Promise<void> {
  say('\nThe primary is killed under traffic (40 visitors, a request every 100 ms each, one write for 20 reads)');
  const plan = { visitors: 40, thinkMs: 100, readsPerWrite: 20, cookies: true };
  const { tally } = await door.run(plan, async () => {
    await sleep(2_000);
    await cluster.killPrimary();
    await sleep(8_000);
  });
  const longest = Math.max(...tally.latenciesMs);
  const { reads, failedReads, writes, retriedWrites, failedWrites, stale } = tally;
  say(
    `${reads} pages, ${failedReads} failed, the longest took ${longest.toFixed(0)} ms; ${writes} writes, ${retriedWrites} of them made once more, ${failedWrites} in vain; stale ${stale}`,
  );
}

/** Replicas that replay late, again and again. */
async function lagging(cluster: BlogCluster, forMs: number): Promise<void> {
  const replicas = (await cluster.members()).filter(member => member.role === 'replica');
  const clients = replicas.map(
    ({ host, port }) => new pg.Client({ host, port, user: 'postgres', password: cluster.password, database: 'postgres' }),
  );
  await Promise.all(clients.map(client => client.connect()));
  for (const end = performance.now() + forMs; performance.now() < end; ) {
    await Promise.all(clients.map(client => client.query('select pg_wal_replay_pause()')));
    await sleep(200);
    await Promise.all(clients.map(client => client.query('select pg_wal_replay_resume()')));
    await sleep(200);
  }
  await Promise.all(clients.map(client => client.end()));
}

async function freshness(cluster: BlogCluster): Promise<void> {
  say('\nThe author who publishes and looks (replicas replay late for 200 ms, again and again; every other request is a write)');
  const doors = [
    ['eventual', true],
    ['session', true],
    ['strong', false],
  ] as const;
  for (const [consistency, cookies] of doors) {
    const door = new Door(cluster.clientUrl, consistency);
    const plan = { visitors: 8, thinkMs: 20, readsPerWrite: 1, cookies };
    const { tally, before, after, seconds } = await door.run(plan, () => lagging(cluster, SECONDS * 1000));
    const { stale, writes, latenciesMs } = tally;
    say(
      `${consistency}, ${cookies ? 'with the cookie' : 'without a cookie'}: ${stale} of ${writes} not seen by their authors; ` +
        `p50 ${ms(latenciesMs, 0.5)}, p99 ${ms(latenciesMs, 0.99)}; reads/s answered: ${perServer(before, after, seconds)}`,
    );
    await door.close();
  }
}

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-blog-'));
  chmodSync(directory, 0o755);
  const cluster = new BlogCluster(join(directory, 'data'));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cluster.down().finally(() => process.exit(1)));
  }
  try {
    await cluster.up(1);
    const door = new Door(cluster.clientUrl, 'strong');
    await door.prepare();
    await doubling(cluster, door);
    await freshness(cluster);
    await crash(cluster, door);
    await door.close();
  } finally {
    await cluster.down();
    rmSync(directory, { recursive: true, force: true });
  }
}

main().catch((error: Error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
