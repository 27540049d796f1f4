/**
 * What fresh reads cost: 16 clients on one cluster, 100 reads to a write, at level `strong`, at `eventual`, and with the primary answering everything.
 * `npm run bench:freshness -- [--seconds 10] [--clients 16] [--reads-per-write 100]`
 */
import { parseArgs } from 'node:util';
import pg from 'pg';
import { Cluster } from '../test/support/cluster.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    clients: { type: 'string', default: '16' },
    'reads-per-write': { type: 'string', default: '100' },
  },
});

const MODES = {
  strong: "SET understudy.consistency = 'strong'",
  eventual: "SET understudy.consistency = 'eventual'",
  'primary alone': "SET understudy.route = 'primary'",
} as const;

interface Result {
  readonly latenciesMs: number[];
  readonly byPort: Map<number, number>;
  writes: number;
  readonly waits: ReadonlyMap<string, number>;
}

const ROWS = 10_000;

async function waitsOf(client: pg.Client): Promise<Map<string, number>> {
  const { rows } = await client.query<{ name: string; value: string }>('SHOW understudy.stats');
  return new Map(rows.filter(row => row.name.startsWith('waits.')).map(row => [row.name.slice('waits.'.length), Number(row.value)]));
}

async function measure(cluster: Cluster, set: string): Promise<Result> {
  const clients = Array.from({ length: Number(values.clients) }, () => cluster.client());
  await Promise.all(clients.map(client => client.connect()));
  for (const client of clients) await client.query(set);
  const before = await waitsOf(clients[0]!);
  const latenciesMs: number[] = [];
  const byPort = new Map<number, number>();
  const result = { latenciesMs, byPort, writes: 0 };
  const readsPerWrite = Number(values['reads-per-write']);
  const endMs = performance.now() + Number(values.seconds) * 1000;
  await Promise.all(
    clients.map(async (client, id) => {
      // Spread, so that the clients do not all write at the same moment.
      for (let n = Math.floor((id * readsPerWrite) / clients.length); performance.now() < endMs; n++) {
        const key = (n * 7919 + id) % ROWS;
        if (n % (readsPerWrite + 1) === readsPerWrite) {
          await client.query('UPDATE posts SET views = views + 1 WHERE id = $1', [key]);
          result.writes += 1;
          continue;
        }
        const sentAtMs = performance.now();
        const { rows } = await client.query('SELECT views, inet_server_port() AS port FROM posts WHERE id = $1', [key]);
        latenciesMs.push(performance.now() - sentAtMs);
        byPort.set(rows[0].port, (byPort.get(rows[0].port) ?? 0) + 1);
      }
    }),
  );
  const after = await waitsOf(clients[0]!);
  await Promise.all(clients.map(client => client.end()));
  return { ...result, waits: new Map([...after].map(([reason, n]) => [reason, n - (before.get(reason) ?? 0)])) };
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(2);
}

const cluster = await Cluster.start();
try {
  const client = cluster.client();
  await client.connect();
  await client.query('CREATE TABLE posts(id int PRIMARY KEY, views int NOT NULL)');
  await client.query(`INSERT INTO posts SELECT i, 0 FROM generate_series(0, ${ROWS - 1}) i`);
  await client.end();
  const { members } = await cluster.whenHealthy();
  const replicaPorts = new Set(members.filter(member => member.role === 'replica').map(member => member.port));
  await measure(cluster, MODES.strong);
  process.stdout.write('mode            reads/s  on replicas   p50 ms   p99 ms   writes  waited, of the reads\n');
  for (const [mode, set] of Object.entries(MODES)) {
    const { latenciesMs, byPort, writes, waits } = await measure(cluster, set);
    const reads = latenciesMs.length;
    const onReplicas = [...byPort].reduce((sum, [port, n]) => sum + (replicaPorts.has(port) ? n : 0), 0);
    const sorted = latenciesMs.toSorted((a, b) => a - b);
    const waited = [...waits].map(([reason, n]) => `${reason} ${((100 * n) / reads).toFixed(2)} %`).join(', ');
    const cells = [
      (reads / Number(values.seconds)).toFixed(0).padStart(9),
      `${((100 * onReplicas) / reads).toFixed(1)} %`.padStart(12),
      quantile(sorted, 0.5).padStart(8),
      quantile(sorted, 0.99).padStart(8),
      String(writes).padStart(8),
    ];
    process.stdout.write(`${mode.padEnd(14)}${cells.join(' ')}  ${waited}\n`);
  }
} finally {
  await cluster.destroy();
}
