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
import { Pool } from '@understudy/client';
import pg from 'pg';
import { makeApp } from './app.ts';
import { Blog } from './blog.ts';
import { BlogCluster } from './cluster.ts';
import { openDatabase, prepareDatabase } from './database.ts';
import { perServer, quantile } from './live.ts';
import { type Tally, Traffic, type TrafficPlan } from './traffic.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '8' } } });
const SECONDS = Number(values.seconds);
const CALM: TrafficPlan = { visitors: 40, thinkMs: 100, readsPerWrite: 100, cookies: true };

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** A blog on the cluster, at a level of consistency. */
class Door {
  readonly pool: Pool;
  readonly #db: ReturnType<typeof openDatabase>;
  readonly #handle: (request: Request) => Response | Promise<Response>;

  constructor(url: string, consistency: 'strong' | 'session' | 'eventual') {
    this.pool = new Pool({ connectionString: url, consistency, max: 20 });
    this.pool.on('error', () => undefined);
    this.#db = openDatabase(this.pool);
    const app = makeApp(new Blog(this.#db), this.pool);
    this.#handle = request => app.fetch(request);
  }

  prepare(): Promise<void> {
    return prepareDatabase(this.#db);
  }

  /** What the traffic met, and which server took how many queries a second. */
  async run(
    plan: TrafficPlan,
    meanwhile: () => Promise<unknown> = () => sleep(SECONDS * 1000),
  ): Promise<{ tally: Tally; servers: string; seconds: number }> {
    const traffic = new Traffic(this.#handle, plan);
    traffic.start();
    await sleep(1_000);
    traffic.take();
    const [before, start] = [this.pool.routes, performance.now()];
    await meanwhile();
    const seconds = (performance.now() - start) / 1000;
    const servers = perServer(before, this.pool.routes, seconds);
    const tally = traffic.take();
    await traffic.stop();
    return { tally, servers, seconds };
  }

  async measure(name: string, plan: TrafficPlan): Promise<void> {
    const { tally, servers, seconds } = await this.run(plan);
    const ms = (share: number): string => quantile(tally.latenciesMs, share).toFixed(1);
    say(
      `${name}: ${(tally.reads / seconds).toFixed(0)} pages/s, ${(tally.writes / seconds).toFixed(1)} writes/s, p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms, ` +
        `queries/s by server: ${servers}, stale ${tally.stale}`,
    );
  }

  close(): Promise<void> {
    return this.#db.destroy();
  }
}

async function doubling(cluster: BlogCluster, door: Door): Promise<void> {
  say('\nTraffic doubles (a hundred reads for a write; a visitor pauses for 100 ms)');
  const viral = { ...CALM, visitors: CALM.visitors * 2 };
  await door.measure('1 replica, 40 visitors', CALM);
  await door.measure('1 replica, 80 visitors', viral);
  await cluster.addReplica();
  // A new replica gets its full share after a while.
  await door.run(viral, () => sleep(6_000));
  await door.measure('2 replicas, 80 visitors', viral);
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
  say(
    `${tally.reads} pages, ${tally.failedReads} failed; ${tally.writes} writes, ${tally.retriedWrites} made again; longest page ${longest.toFixed(0)} ms; stale ${tally.stale}`,
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
    const { tally, servers } = await door.run(plan, () => lagging(cluster, SECONDS * 1000));
    say(
      `${consistency}${cookies ? ', with the cookie' : ', without a cookie'}: ${tally.stale} of ${tally.writes} not seen by their authors; ` +
        `p50 ${quantile(tally.latenciesMs, 0.5).toFixed(1)} ms, p99 ${quantile(tally.latenciesMs, 0.99).toFixed(1)} ms; queries/s by server: ${servers}`,
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
