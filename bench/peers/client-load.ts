/** Point reads through the in-process client, as `pgbench -S` makes them: `client-load.ts URL CALLERS SECONDS`. Writes one measurement as JSON. */
import type { Measurement } from '../lib/cell.ts';
import { quantile } from '../lib/stats.ts';
import { Pool } from '@understudy/client';

const [url = '', callers = '1', seconds = '1'] = process.argv.slice(2);
const ACCOUNTS = 1_000_000;
const READ = 'SELECT abalance FROM pgbench_accounts WHERE aid = $1';
const WARM_UP_MS = 500;
/** Every fifth latency is kept, as of pgbench's. */
const SAMPLED = 5;

interface Load {
  done: number;
  readonly latenciesMs: number[];
}

async function caller(pool: Pool, untilMs: number, load: Load): Promise<void> {
  while (performance.now() < untilMs) {
    const sentAtMs = performance.now();
    const { rowCount } = await pool.query(READ, [1 + Math.floor(Math.random() * ACCOUNTS)]);
    if (rowCount !== 1) throw new Error(`${rowCount} rows where one is`);
    load.done += 1;
    if (load.done % SAMPLED === 0) load.latenciesMs.push(performance.now() - sentAtMs);
  }
}

async function run(pool: Pool, durationMs: number): Promise<Load> {
  const load: Load = { done: 0, latenciesMs: [] };
  const untilMs = performance.now() + durationMs;
  await Promise.all(Array.from({ length: Number(callers) }, () => caller(pool, untilMs, load)));
  return load;
}

const pool = new Pool({ connectionString: url });
await run(pool, WARM_UP_MS);
const before = process.cpuUsage();
const startedAtMs = performance.now();
const { done, latenciesMs } = await run(pool, Number(seconds) * 1000);
const elapsedMs = performance.now() - startedAtMs;
const { user, system } = process.cpuUsage(before);
const measured: Measurement = {
  value: (done * 1000) / elapsedMs,
  p50Ms: quantile(latenciesMs, 0.5),
  p99Ms: quantile(latenciesMs, 0.99),
  loadUs: (user + system) / done,
};
process.stdout.write(`${JSON.stringify(measured)}\n`);
await pool.end();
