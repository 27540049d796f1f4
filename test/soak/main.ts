import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/wait.ts';
import { COUNTERS, type Finding, SCHEMA, SoakClient } from './client.ts';
import { slowReader } from './slow-reader.ts';

/**
 * Many clients on few server connections for a long time: `npm run soak -- --minutes 10 --clients 2000`. Every answer is checked against what
 * its client asked. Ends with 1 when anything was wrong, or when the proxy's memory grew.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    clients: { type: 'string', default: '2000' },
    'pool-size': { type: 'string', default: '20' },
    'think-ms': { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
  },
});
const [minutes, count, poolSize, thinkMs, seed] = [
  values.minutes,
  values.clients,
  values['pool-size'],
  values['think-ms'],
  values.seed,
].map(Number) as [number, number, number, number, number];

/** Growth of the proxy from the first third of the run to the last that is not taken for a leak: the heap's own breath. */
const ALLOWED_GROWTH_BYTES = 48 * 1024 * 1024;
const SAMPLE_MS = 2_000;
const SHOWN_FINDINGS = 20;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const megabytes = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MB`;

/** mulberry32. */
function generator(start: number): () => number {
  let a = start;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Resident memory of a process, without what it shares with others. */
function memoryOf(pid: number): number {
  const [, kilobytes] = /RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

const median = (numbers: readonly number[]): number => [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;

async function main(): Promise<boolean> {
  process.env['UNDERSTUDY_PROXY_POOL_SIZE'] = String(poolSize);
  const cluster = await Cluster.start('--replicas', '2');
  try {
    const findings: Finding[] = [];
    const admin = cluster.client();
    await admin.connect();
    await admin.query(SCHEMA);
    const proxy = (await cluster.status()).router.pid;
    if (proxy === null) throw new Error('no proxy runs');
    const clients = Array.from(
      { length: count },
      (_, i) => new SoakClient(i, cluster.url, generator(seed * 100_003 + i), f => findings.push(f)),
    );
    say(`${count} clients, at most ${poolSize} connections to each server, ${minutes} minutes, seed ${seed}`);
    const endMs = performance.now() + minutes * 60_000;
    const samples: number[] = [];
    const sampling = setInterval(() => samples.push(memoryOf(proxy)), SAMPLE_MS);
    await Promise.all(clients.map(client => client.run(endMs, thinkMs)));
    clearInterval(sampling);
    const operations = clients.reduce((sum, client) => sum + client.operations, 0);
    await audit(cluster, clients, findings);

    const third = Math.floor(samples.length / 3);
    const [early, late] = [median(samples.slice(third, 2 * third)), median(samples.slice(-third))];
    const slow = await slowReader(cluster.url, () => memoryOf(proxy));
    say(`operations: ${operations}, findings: ${findings.length}`);
    for (const finding of findings.slice(0, SHOWN_FINDINGS)) say(`  client ${finding.client}: ${finding.what}`);
    say(`memory of the proxy, second third of the run to last third: ${megabytes(early)} to ${megabytes(late)}`);
    say(
      `a reader that stops in a result of ${megabytes(slow.resultBytes)} costs ${megabytes(slow.costBytes)}, and then got all of it: ${slow.complete}`,
    );
    await admin.end();
    return findings.length === 0 && late - early < ALLOWED_GROWTH_BYTES && slow.costBytes < 10 * 1024 * 1024 && slow.complete;
  } finally {
    await cluster.destroy();
  }
}

/** What is left when all clients have gone. */
async function audit(cluster: Cluster, clients: readonly SoakClient[], findings: Finding[]): Promise<void> {
  const admin = cluster.client();
  await admin.connect();
  const check = (what: string, seen: unknown, wanted: unknown): void => {
    if (JSON.stringify(seen) !== JSON.stringify(wanted)) findings.push({ client: -1, what: `${what}: ${JSON.stringify(seen)}` });
  };
  const wanted = Array.from({ length: COUNTERS }, (_, id) => clients.filter(c => c.counter === id).reduce((sum, c) => sum + c.counted, 0));
  const { rows } = await admin.query('SELECT value::int FROM soak_counters ORDER BY id');
  check(
    'counters',
    rows.map(row => row.value),
    wanted,
  );
  await until('the last locks go', async () => {
    const locks = await admin.query("/* understudy:primary */ SELECT 1 FROM pg_locks WHERE locktype = 'advisory'");
    return locks.rows.length === 0 ? true : null;
  }).catch((error: Error) => findings.push({ client: -1, what: error.message }));
  const left = await admin.query(
    "/* understudy:primary */ SELECT count(*)::int AS n FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND usename = 'postgres'",
  );
  check('transactions left open', left.rows, [{ n: 0 }]);
  await admin.end();
}

process.exitCode = (await main()) ? 0 : 1;
