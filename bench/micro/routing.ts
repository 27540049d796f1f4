/**
 * What routing costs one statement, in nanoseconds: `npx tsx --conditions=source bench/micro/routing.ts`.
 * Each line is the best of several rounds, so that a neighbour on the machine is not measured as well.
 */
import { createRequire } from 'node:module';
import {
  choose,
  DEFAULT_READ_POLICY,
  newReplica,
  newRouterCausality,
  newSessionCausality,
  noteFloor,
  observeReplay,
  probeSent,
  type RoutableServer,
  type RouterView,
  recordFinish,
  recordStart,
  routerView,
  STRONG,
} from '@understudy/core/routing';
import { Fingerprinter, type ParseTree, SqlClassifier, type SqlParser } from '@understudy/core/sql';

const ROUNDS = 7;

/** Nanoseconds a call; `run` does `times` of them. */
function measure(name: string, times: number, run: (times: number) => void): void {
  run(times);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run(times);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / times);
  }
  process.stdout.write(`${name.padEnd(62)}${best.toFixed(0).padStart(9)} ns\n`);
}

const libpgQuery = createRequire(import.meta.url)('libpg-query') as { loadModule(): Promise<void>; parseSync(sql: string): ParseTree };

async function loadParser(): Promise<SqlParser> {
  await libpgQuery.loadModule();
  return { parse: sql => libpgQuery.parseSync(sql) };
}

const POINT_READ = 'SELECT abalance FROM pgbench_accounts WHERE aid = 4711;';
const ORM_READ =
  'SELECT "public"."posts"."id", "public"."posts"."title", "public"."posts"."body", "public"."posts"."author_id" FROM "public"."posts" ' +
  'WHERE ("public"."posts"."author_id" = $1 AND "public"."posts"."deleted_at" IS NULL) ORDER BY "public"."posts"."created_at" DESC LIMIT $2 OFFSET $3';
const BULK_INSERT = `INSERT INTO t (a, b, c) VALUES ${Array.from({ length: 1000 }, (_, i) => `(${i}, 'name ${i}', NULL)`).join(', ')}`;

function benchFingerprint(): void {
  const fingerprinter = new Fingerprinter();
  for (const [name, sql, times] of [
    ['SELECT 1', 'SELECT 1', 300_000],
    ['point read', POINT_READ, 200_000],
    ['read of an ORM', ORM_READ, 50_000],
    ['INSERT of 1000 rows', BULK_INSERT, 100],
  ] as const) {
    const bytes = new TextEncoder().encode(sql);
    measure(`fingerprint: ${name} (${bytes.length} bytes)`, times, count => {
      for (let i = 0; i < count; i++) fingerprinter.scan(bytes);
    });
  }
  measure('fingerprint: point read, from a string', 200_000, count => {
    for (let i = 0; i < count; i++) fingerprinter.scanText(POINT_READ);
  });
}

async function benchClassifier(): Promise<void> {
  const parser = await loadParser();
  const classifier = new SqlClassifier({ parser });
  for (const [name, sql] of [
    ['point read', POINT_READ],
    ['read of an ORM', ORM_READ],
  ] as const) {
    const bytes = new TextEncoder().encode(sql);
    measure(`classify, cached: ${name}`, 50_000, count => {
      for (let i = 0; i < count; i++) classifier.classifyBytes(bytes);
    });
    measure(`classify, not cached (parser included): ${name}`, 300, count => {
      const fresh = new SqlClassifier({ parser });
      for (let i = 0; i < count; i++) fresh.classifyText(sql.replace('SELECT', `SELECT c${i},`));
    });
  }
}

const server = (i: number): RoutableServer => ({ id: `n${i}`, host: '127.0.0.1', port: 5432 + i, timeline: 1, weight: 100, zone: null });

function viewOf(count: number, freshShare: number): RouterView {
  const servers = Array.from({ length: count }, (_, i) => server(i + 2));
  const topology = { term: 1, primary: { kind: 'open', server: server(1) }, replicas: servers, history: [] } as const;
  const causality = newRouterCausality();
  noteFloor(causality, probeSent(causality.probes), { timeline: 1, lsn: 1000n }, topology);
  const replicas = servers.map((one, i) => {
    const replica = newReplica(one, 0, 'warm');
    const lsn = i < count * freshShare ? 1000n : 999n;
    const seen = { position: { timeline: 1, lsn }, primaryLsn: 1000n, lagMs: 0, replayPaused: false, probe: probeSent(replica.probes) };
    observeReplay(replica, seen, 0, DEFAULT_READ_POLICY.balance);
    recordFinish(replica, 1 + (i % 7) / 10, 0);
    return replica;
  });
  return routerView({ topology, replicas, primary: null, causality, policy: DEFAULT_READ_POLICY });
}

function benchChoose(): void {
  const request = { demand: 'replica', wish: 'auto', level: STRONG, waitedMs: 0 } as const;
  const session = newSessionCausality();
  for (const [count, freshShare] of [
    [2, 1],
    [100, 1],
    [1000, 1],
    [100, 0.5],
    [100, 0.02],
  ] as const) {
    const view = viewOf(count, freshShare);
    const share = freshShare === 1 ? '' : `, ${freshShare * 100} % of them fresh`;
    measure(`choose and record, strong: ${count} replicas${share}`, 200_000, times => {
      for (let i = 0; i < times; i++) {
        const choice = choose(view, request, session, 1, Math.random);
        if (choice.kind !== 'replica') throw new Error(choice.kind);
        recordStart(choice.replica);
        recordFinish(choice.replica, 1, 1);
      }
    });
  }
}

benchFingerprint();
await benchClassifier();
benchChoose();
