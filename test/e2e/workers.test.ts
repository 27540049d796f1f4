import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

/** A commit is replayed this much later than it is acknowledged: longer than any read of the test waits. */
const REPLAY_DELAY_MS = 5_000;
const ROUNDS = 20;

describe('several workers are one proxy', () => {
  let cluster: Cluster;
  /** One client of each worker. */
  let a: pg.Client;
  let b: pg.Client;

  const configure = (proxy: Readonly<Record<string, number>>, tls: Readonly<Record<string, string>> = {}): void =>
    writeFileSync(join(cluster.parent, 'understudy.yaml'), JSON.stringify({ proxy: { workers: 2, ...proxy }, tls }));

  interface Row {
    readonly application_name: string;
    readonly worker: string;
  }
  const workerOf = async (client: pg.Client, name: string): Promise<string> => {
    const { rows } = await client.query<Row>('SHOW understudy.clients');
    return rows.find(row => row.application_name === name)?.worker ?? '';
  };

  /** The system spreads connections as it likes: opened until one is where it is wanted. */
  async function clientOf(worker: string): Promise<pg.Client> {
    for (let i = 0; ; i++) {
      const name = `of ${worker}, ${i}`;
      const client = new pg.Client({ connectionString: cluster.url, application_name: name });
      client.on('error', () => undefined);
      await client.connect();
      if ((await workerOf(client, name)) === worker) return client;
      await client.end();
    }
  }

  beforeAll(async () => {
    cluster = await Cluster.prepare();
    configure({});
    const outcome = await cluster.up('--replicas', '1');
    if (outcome.code !== 0) throw new Error(outcome.stderr);
    [a, b] = await Promise.all([clientOf('1'), clientOf('2')]);
    await a.query('CREATE TABLE notes (i int)');
  });
  afterAll(async () => {
    await Promise.all([a?.end(), b?.end()]);
    await cluster.destroy();
  });

  it('each tells of the clients, servers and reads of all', async () => {
    const before = (await cluster.status()).router;
    const seen = await Promise.all([a, b].map(async c => (await c.query<Row>('SHOW understudy.clients')).rows.map(row => row.worker)));
    for (const workers of seen) expect(workers.sort()).toEqual(['1', '2']);
    for (let i = 0; i < 10; i++) for (const c of [a, b]) await c.query('INSERT INTO notes VALUES (0)');
    await cluster.whenStatus('the writes of both', ({ router }) => router.writes >= before.writes + 20 && router.clients === 2);
    for (const c of [a, b]) {
      const stats = (await c.query<{ name: string; value: string }>('SHOW understudy.stats')).rows;
      expect(Number(stats.find(row => row.name === 'writes')?.value)).toBeGreaterThanOrEqual(20);
    }
    const pools = (await b.query<{ member: string; role: string; database: string }>('SHOW understudy.pools')).rows;
    const primaries = pools.filter(row => row.role === 'primary' && row.database === 'postgres');
    expect(primaries).toHaveLength(1);
  });

  it('a write that one has acknowledged is seen by every strong read through another, however late it is replayed', async () => {
    const replica = new pg.Client({ connectionString: (await cluster.command('url', '--role', 'replica')).stdout.trim() });
    await replica.connect();
    const delay = async (value: string): Promise<void> => {
      await replica.query(`ALTER SYSTEM SET recovery_min_apply_delay = ${value}`);
      await replica.query('SELECT pg_reload_conf()');
    };
    try {
      // The other one's reads do go to the replica as long as nobody has written.
      await until('a read on the replica', async () => {
        await b.query('SELECT count(*) FROM notes');
        const { rows } = await b.query('SHOW understudy.last_route');
        return String(rows[0]['understudy.last_route']).startsWith('n2') ? true : null;
      });
      await delay(String(REPLAY_DELAY_MS));
      const { rows } = await a.query('SELECT coalesce(max(i), 0)::int AS last FROM notes');
      let last = rows[0].last as number;
      for (let round = 0; round < ROUNDS; round++) {
        const [writer, reader] = round % 2 === 0 ? [a, b] : [b, a];
        last += 1;
        await writer.query('INSERT INTO notes VALUES ($1)', [last]);
        expect((await reader.query('SELECT max(i)::int AS last FROM notes')).rows).toEqual([{ last }]);
      }
    } finally {
      await delay('0');
      await replica.end();
    }
  });

  it('a cancel finds its statement, whichever worker it comes to', async () => {
    // Each request is a connection of its own, and comes to either.
    for (let round = 0; round < 8; round++) {
      const client = round % 2 === 0 ? a : b;
      const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
      const sleeping = client.query('/* understudy:primary */ SELECT pg_sleep(60)').catch((error: { code: string }) => error.code);
      await until('it sleeps', async () => {
        const other = client === a ? b : a;
        const { rows } = await other.query("/* understudy:primary */ SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        return rows.length > 0 ? true : null;
      });
      const request = Buffer.alloc(16);
      [16, 80877102, processID, secretKey].forEach((word, i) => request.writeInt32BE(word | 0, i * 4));
      const socket = connect(cluster.port, '127.0.0.1').resume();
      socket.write(request);
      await once(socket, 'close');
      expect(await sleeping).toBe('57014');
    }
  });

  it('takes on changed settings without losing a client, by the file or by SIGHUP; what is wrong is told and changes nothing', async () => {
    const events = async (): Promise<string[]> => {
      const { stdout } = await cluster.command('events', '--json');
      return stdout
        .split('\n')
        .filter(line => line !== '')
        .map(line => JSON.parse(line) as { kind: string; message: string })
        .filter(({ kind }) => kind === 'settings-reloaded' || kind === 'router-warning')
        .map(({ message }) => message);
    };
    const told = (text: string): Promise<true> =>
      until(text, async () => ((await events()).some(message => message.includes(text)) ? true : null));
    const third = new pg.Client({ connectionString: cluster.url });
    await a.query('BEGIN');

    configure({ maxClients: 2, workers: 3 });
    await told('takes on proxy.maxClients. Only a restart takes on proxy.workers.');
    await expect(third.connect()).rejects.toMatchObject({ code: '53300' });

    configure({}, { cert: 'missing.crt', key: 'missing.key' });
    await told('The router keeps the settings that it has');
    const { supervisorPid } = await cluster.status();
    configure({ maxClients: 2, idleInTransactionTimeoutMs: 500 });
    await told('takes on proxy.idleInTransactionTimeoutMs');
    process.kill(supervisorPid, 'SIGHUP');
    await told('read its settings and certificates again');

    // The new limit holds for a transaction that was open before; the other client goes on.
    await until('the transaction was ended', async () => {
      const { rows } = await b.query<Row>('SHOW understudy.clients');
      return rows.every(row => row.worker === '2') ? true : null;
    });
    expect((await b.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});
