import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually, type Member, sql } from '../../../server/test/integration/postgres-fixture.ts';
import { StoppedCluster } from '../../../server/test/integration/stopped-cluster.ts';
import { addressOf, type ClientBench, clientBenchOn, type RoutedPool } from './fixture.ts';

describe('a failover that nobody tells the pool of', () => {
  let stopped: StoppedCluster;
  let on: ClientBench;
  let pool: RoutedPool;
  let n2: Member;

  beforeAll(async () => {
    stopped = await StoppedCluster.make(1, primary => sql(primary, 'create table t(i int)'));
  });
  afterAll(() => stopped?.close());

  beforeEach(async () => {
    on = clientBenchOn(await stopped.open());
    n2 = on.replicas[0] as Member;
    // A promotion takes its time on a busy machine.
    pool = on.pool({ holdTimeoutMs: 120_000 });
  });
  afterEach(() => on.close());

  /** What was committed has arrived, so that the promotion loses nothing. */
  async function caughtUp(): Promise<void> {
    const n = (await pool.query('select count(*)::int as n, pg_is_in_recovery() as r from t')).rows[0];
    expect(n.r).toBe(true);
  }

  async function promote(): Promise<void> {
    await n2.server.isolate(5_000);
    await n2.server.setSynchronousNames({ kind: 'none' }, 5_000);
    await n2.server.promote(null, 10_000);
  }

  it('holds writes, goes on reading, and finds the new primary by itself', async () => {
    const client = await pool.connect();
    await client.query('insert into t values (1)');
    await caughtUp();
    await on.primary.server.fence();
    expect((await client.query('select i, pg_is_in_recovery() as r from t')).rows).toEqual([{ i: 1, r: true }]);
    const writing = client.query('insert into t values (2)');
    const other = pool.query('insert into t values (3)');
    await promote();
    expect((await writing).rowCount).toBe(1);
    expect((await other).rowCount).toBe(1);
    expect(pool.last).toMatchObject({ role: 'primary', server: addressOf(n2) });
    expect((await client.query('select count(*)::int as n from t')).rows).toEqual([{ n: 3 }]);
    client.release();
  });

  it('says of a transaction that was open that it is rolled back, and goes on with the same client', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('insert into t values (1)');
    await on.primary.server.fence();
    await promote();
    await expect(client.query('insert into t values (2)')).rejects.toMatchObject({ code: '57P01' });
    await expect(client.query('insert into t values (3)')).rejects.toMatchObject({ code: '25P02' });
    expect((await client.query('rollback')).command).toBe('ROLLBACK');
    expect((await client.query('insert into t values (4) returning i')).rows).toEqual([{ i: 4 }]);
    expect((await client.query('select i from t')).rows).toEqual([{ i: 4 }]);
    client.release();
  });

  it('says of a write under way that its outcome is unknown, and runs a read under way again', async () => {
    const writing = pool.query('insert into t select 1 from pg_sleep(60)');
    const failed = expect(writing).rejects.toMatchObject({ code: '08007' });
    await eventually(async () => pool.seen.some(route => route.text.includes('pg_sleep(60)')), 'the write is under way');
    await on.primary.server.fence();
    await failed;
    const reading = pool.query('select pg_is_in_recovery() as r, pg_sleep(0.2)');
    await promote();
    expect((await reading).rows).toHaveLength(1);
  });

  // A server that dies ends its processes one after the other: what is given to one that is still there would be lost as well.
  it('after a connection was ended by its server, none that was open before is used for what follows', async () => {
    const insert = 'insert into t values (1) returning pg_backend_pid() as pid';
    const [held, free] = [await pool.connect(), await pool.connect()];
    await held.query('begin');
    const lost = (await held.query(insert)).rows[0].pid;
    const before = (await free.query(insert)).rows[0].pid;
    expect((await free.query(insert)).rows[0].pid).toBe(before);
    await sql(on.primary, `select pg_terminate_backend(${lost})`);
    await expect(held.query(insert)).rejects.toMatchObject({ code: '57P01' });
    expect((await free.query(insert)).rows[0].pid).not.toBe(before);
    await held.query('rollback');
    held.release();
    free.release();
  });
});
