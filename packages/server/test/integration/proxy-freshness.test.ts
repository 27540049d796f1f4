import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Member, sql } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

describe('a replica that has stopped replaying', () => {
  let on: ProxyBench;
  let n2: Member;

  beforeAll(async () => {
    on = await openProxyBench(1, { freshWaitMs: 50 });
    n2 = on.replicas[0] as Member;
    await sql(on.primary, 'CREATE TABLE t (i int)');
  });

  afterAll(() => on?.close());

  const count = async (c: pg.Client): Promise<[number, string]> => {
    const n = (await c.query('SELECT count(*)::int AS n FROM t')).rows[0]?.n;
    return [n, (await lastRoute(c)).slice(0, 2)];
  };

  test('strong and session reads go to the primary when they must, the others stay', async () => {
    const [writer, strong, session, eventual, bounded] = await Promise.all([client(on), client(on), client(on), client(on), client(on)]);
    await session.query("SET understudy.consistency = 'session'");
    await eventual.query("SET understudy.consistency = 'eventual'");
    await bounded.query("SET understudy.consistency = 'bounded'");
    await bounded.query('SET understudy.max_lag_ms = 60000');
    await writer.query('INSERT INTO t VALUES (1)');
    for (const c of [writer, strong, session, eventual, bounded])
      await eventually(async () => (await count(c)).join() === '1,n2', 'all read on the replica');

    await sql(n2, 'SELECT pg_wal_replay_pause()');
    await eventually(async () => (await sql(n2, 'SELECT pg_get_wal_replay_pause_state() AS s'))[0]?.['s'] === 'paused', 'replay is paused');
    await writer.query('INSERT INTO t VALUES (2)');
    expect(await count(strong)).toEqual([2, 'n1']);
    expect(await count(writer)).toEqual([2, 'n1']);
    expect(await count(session)).toEqual([1, 'n2']);
    expect(await count(eventual)).toEqual([1, 'n2']);
    expect(await count(bounded)).toEqual([1, 'n2']);
    await bounded.query('SET understudy.max_lag_ms = 1');
    await eventually(async () => (await count(bounded)).join() === '2,n1', 'the lag is over the bound');
    await session.query('INSERT INTO t VALUES (3)');
    expect(await count(session)).toEqual([3, 'n1']);
    const { rows } = await strong.query('/* understudy:consistency=eventual */ SELECT count(*)::int AS n FROM t');
    expect(rows).toEqual([{ n: 1 }]);

    await sql(n2, 'SELECT pg_wal_replay_resume()');
    for (const c of [writer, strong, session, eventual, bounded])
      await eventually(async () => (await count(c)).join() === '3,n2', 'all read on the replica again');
  });
});
