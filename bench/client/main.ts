/**
 * The cost of the in-process door: point reads through a routed pool beside pg's own pool on one server, and beside pg through PgBouncer. All of them have the same
 * settings: as many connections as there are readers.
 *
 *   npm run bench:client -- [--readers 16] [--rounds 5] [--seconds 2] [--url postgres://user:password@host:5432/db] [--out DIR]
 *
 * Without `--url` it starts a server of its own, and PgBouncer where that is installed.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { Pool } from '@understudy/client';
import { CREDENTIALS, openBench, startPrimary } from '../../packages/server/test/integration/postgres-fixture.ts';
import { markdownTable, publish } from '../lib/publish.ts';
import { median } from '../lib/stats.ts';
import type { Endpoint } from '../peers/peer.ts';
import { startPgbouncer } from '../peers/pgbouncer.ts';

const { values } = parseArgs({
  options: {
    readers: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    url: { type: 'string' },
    out: { type: 'string', default: 'bench-results' },
  },
});

const ROWS = 10_000;
const READERS = Number(values.readers);
const WARM_UP_MS = 1_000;

type AnyPool = Pick<pg.Pool, 'query' | 'end' | 'on'>;

/** Point reads a second, `READERS` at a time. */
async function readsPerSecond(pool: AnyPool, durationMs: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  const worker = async (seed: number): Promise<void> => {
    let id = seed;
    while (performance.now() - start < durationMs) {
      id = (id * 7919 + 1) % ROWS;
      const { rows } = await pool.query<{ id: number }>('select id, filler from understudy_bench where id = $1', [id]);
      if (rows[0]?.id !== id) throw new Error(`asked for row ${id}, got ${rows[0]?.id}`);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: READERS }, (_, i) => worker(i + 1)));
  return done / ((performance.now() - start) / 1000);
}

async function fill(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(`drop table if exists understudy_bench;
    create table understudy_bench as select g as id, repeat('x', 100) as filler from generate_series(0, ${ROWS - 1}) g;
    alter table understudy_bench add primary key (id); analyze understudy_bench`);
  await client.end();
}

async function measure(direct: string, bouncer: string | null): Promise<void> {
  await fill(direct);
  // With one server there is no replica: the same server answers all, so that only the client's own cost differs.
  const routed = new Pool({ connectionString: direct, max: READERS });
  const pools: Record<string, AnyPool> = {
    'pg, direct': new pg.Pool({ connectionString: direct, max: READERS }),
    '@understudy/client, the same server': routed,
    ...(bouncer === null ? {} : { 'pg, through PgBouncer': new pg.Pool({ connectionString: bouncer, max: READERS }) }),
  };
  // Idle connections end with their server; a read that fails rejects.
  for (const pool of Object.values(pools)) pool.on('error', () => undefined);
  const results: Record<string, number[]> = {};
  for (const pool of Object.values(pools)) await readsPerSecond(pool, WARM_UP_MS);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, pool] of Object.entries(pools))
      (results[name] ??= []).push(await readsPerSecond(pool, Number(values.seconds) * 1000));
  }
  const base = median(results['pg, direct'] ?? []);
  const rows = Object.entries(results).map(([name, rounds]) => {
    const value = median(rounds);
    return [name, value.toFixed(0), (value / base).toFixed(2)];
  });
  const words = markdownTable([[`${READERS} readers`, 'reads/s', 'of pg direct'], ...rows]);
  process.stdout.write(words);
  publish(values.out, 'client', { readers: READERS, results }, words);
  const { reads, shared } = routed.routes;
  const all = Object.values(reads).reduce((sum, count) => sum + count, 0);
  process.stdout.write(`${((100 * shared) / all).toFixed(1)} % of the client's reads shared a connection\n`);
  await Promise.all(Object.values(pools).map(pool => pool.end()));
}

const urlOf = ({ host, port, user, password, database }: Endpoint): string =>
  `postgres://${user}:${encodeURIComponent(password)}@${host}:${port}/${database}`;

async function onServersOfItsOwn(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'understudy-bench-client-'));
  chmodSync(directory, 0o755);
  const bench = await openBench('embedded');
  const primary = await bench.member('n1', READERS * 3 + 50);
  await startPrimary(primary);
  const { port } = primary.spec.settings;
  const server: Endpoint = { host: '127.0.0.1', port, user: 'postgres', password: CREDENTIALS.superuser, database: 'postgres' };
  const setting = { directory, primary: server, replicas: [], router: server, routerPid: 0, maxClients: READERS };
  const bouncer = await startPgbouncer(setting);
  try {
    const endpoint = 'missing' in bouncer ? null : bouncer.endpoint('read', 'extended');
    await measure(urlOf(server), endpoint === null || 'cannot' in endpoint ? null : urlOf(endpoint));
  } finally {
    if (!('missing' in bouncer)) await bouncer.stop();
    await bench.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  await (values.url === undefined ? onServersOfItsOwn() : measure(values.url, null));
}

main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
