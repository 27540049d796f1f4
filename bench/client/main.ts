// The cost of the in-process door: point reads through a routed pool beside pg's own pool on one server, and beside pg through PgBouncer.
// `npm run bench:client -- postgres://user:password@host:5432/db [postgres://…]`: a primary, and optionally PgBouncer in front of the same server.
import pg from 'pg';
import { Pool } from '@understudy/client';

const ROWS = 10_000;
const CONCURRENCY = 16;
const ROUND_MS = 2_000;
const ROUNDS = 5;

type AnyPool = Pick<pg.Pool, 'query' | 'end'>;

/** Point reads a second, `CONCURRENCY` at a time. */
async function readsPerSecond(pool: AnyPool, durationMs: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  const worker = async (seed: number): Promise<void> => {
    let id = seed;
    while (performance.now() - start < durationMs) {
      id = (id * 7919 + 1) % ROWS;
      await pool.query('select id, filler from understudy_bench where id = $1', [id]);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, (_, i) => worker(i + 1)));
  return done / ((performance.now() - start) / 1000);
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function main([direct, bouncer]: readonly string[]): Promise<void> {
  if (direct === undefined) throw new Error('usage: npm run bench:client -- SERVER_URL [PGBOUNCER_URL]');
  const setup = new pg.Client({ connectionString: direct });
  await setup.connect();
  await setup.query(`drop table if exists understudy_bench;
    create table understudy_bench as select g as id, repeat('x', 100) as filler from generate_series(0, ${ROWS - 1}) g;
    alter table understudy_bench add primary key (id); analyze understudy_bench`);
  await setup.end();

  // With one server there is no replica: the same server answers both, so that only the client's own cost differs.
  const pools: Record<string, AnyPool> = {
    'pg, direct': new pg.Pool({ connectionString: direct, max: CONCURRENCY }),
    '@understudy/client, the same server': new Pool({ connectionString: direct, max: CONCURRENCY }),
    ...(bouncer === undefined ? {} : { 'pg, through PgBouncer': new pg.Pool({ connectionString: bouncer, max: CONCURRENCY }) }),
  };
  const results: Record<string, number[]> = {};
  for (const pool of Object.values(pools)) await readsPerSecond(pool, 500);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, pool] of Object.entries(pools)) (results[name] ??= []).push(await readsPerSecond(pool, ROUND_MS));
  }
  const base = median(results['pg, direct'] ?? []);
  for (const [name, values] of Object.entries(results)) {
    const value = median(values);
    process.stdout.write(`${name.padEnd(40)} ${value.toFixed(0).padStart(8)} reads/s  ${(value / base).toFixed(2)} of pg direct\n`);
  }
  await Promise.all(Object.values(pools).map(pool => pool.end()));
}

await main(process.argv.slice(2));
