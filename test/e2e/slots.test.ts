import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Cluster, primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';

describe('a consumer of changes (logical decoding)', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });
  afterAll(() => cluster.destroy());

  /** Past the router: a slot belongs to a server. */
  async function on<T>(port: number, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const url = new URL(cluster.url);
    url.port = String(port);
    const client = new pg.Client({ connectionString: url.href });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  }

  /** The rows that the slot has not given out yet. */
  const consume = (port: number): Promise<number[]> =>
    on(port, async client => {
      const { rows } = await client.query<{ data: string }>("select data from pg_logical_slot_get_changes('feed', null, null)");
      return rows.flatMap(({ data }) => Number(/INSERT: n\[integer\]:(\d+)/.exec(data)?.[1] ?? 0) || []);
    });

  const copies = (port: number): Promise<number> =>
    on(port, async client => {
      const { rows } = await client.query("select 1 from pg_replication_slots where slot_name = 'feed' and synced and not temporary");
      return rows.length;
    });

  it('sees every acknowledged row across a failover, and none that was lost', async () => {
    const before = await cluster.whenStatus('two replicas in the cohort', s => s.verdict === 'healthy' && s.durability.cohort.length === 2);
    const old = primaryOf(before);
    const writer = cluster.client();
    await writer.connect();
    await writer.query('create table fed(n int)');
    await on(old.port, client => client.query("select pg_create_logical_replication_slot('feed', 'test_decoding', false, false, true)"));
    let n = 0;
    const acknowledged: number[] = [];
    const seen: number[] = [];
    /** The outcome of a row that was under way when the primary died may be unknown. */
    const write = async (): Promise<void> => {
      const row = ++n;
      await writer.query('insert into fed values ($1)', [row]).then(
        () => acknowledged.push(row),
        (error: { code?: string }) => expect(error.code).toMatch(/08007|57P01/),
      );
    };
    // A copy is made once the slot has moved on past where its replica began: rows, and a snapshot of what runs.
    await until(
      'a copy of the slot on each replica',
      async () => {
        await write();
        seen.push(...(await consume(old.port)));
        await on(old.port, client => client.query('select pg_log_standby_snapshot()'));
        const found = await Promise.all(before.members.filter(m => m.role === 'replica').map(m => copies(m.port)));
        return found.every(count => count === 1) ? true : null;
      },
      90_000,
    );
    for (let i = 0; i < 20; i++) await write();
    process.kill(old.postmasterPid!, 'SIGKILL');
    for (let i = 0; i < 20; i++) await write();
    const after = await cluster.whenStatus('another primary', s => s.verdict !== 'no-primary' && s.term > before.term);
    seen.push(...(await consume(primaryOf(after).port)));
    const { rows } = await writer.query<{ n: number }>('/* understudy:primary */ select n from fed');
    expect(acknowledged.filter(row => !seen.includes(row))).toEqual([]);
    // Nor was it told of a row that the new primary never had.
    expect(seen.filter(row => !rows.some(({ n: there }) => there === row))).toEqual([]);

    // The old primary has its own slot of that name no more, but a copy.
    await cluster.whenHealthy();
    await until(
      'a copy on the old primary',
      async () => {
        await write();
        const primary = primaryOf(await cluster.whenHealthy());
        await consume(primary.port);
        await on(primary.port, client => client.query('select pg_log_standby_snapshot()'));
        return (await copies(old.port)) === 1 ? true : null;
      },
      90_000,
    );
    await writer.end();
  });
});
