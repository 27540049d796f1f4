import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, type Member, sql } from './postgres-fixture.ts';
import { client, lastRoute, openProxyBench, type ProxyBench } from './proxy-fixture.ts';

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

async function delayReplay(by: string): Promise<void> {
  await sql(n2, `ALTER SYSTEM SET recovery_min_apply_delay = '${by}'`);
  await sql(n2, 'SELECT pg_reload_conf()');
  await eventually(
    async () => (await sql(n2, 'SHOW recovery_min_apply_delay'))[0]?.['recovery_min_apply_delay'] === by,
    `a delay of ${by}`,
  );
}

describe('a replica that replays late', () => {
  test('strong and session reads go to the primary when they must, the others stay', async () => {
    const [writer, strong, session, eventual, bounded] = await Promise.all([client(on), client(on), client(on), client(on), client(on)]);
    await session.query("SET understudy.consistency = 'session'");
    await eventual.query("SET understudy.consistency = 'eventual'");
    await bounded.query("SET understudy.consistency = 'bounded'");
    await bounded.query('SET understudy.max_lag_ms = 60000');
    await writer.query('INSERT INTO t VALUES (1)');
    for (const c of [writer, strong, session, eventual, bounded])
      await eventually(async () => (await count(c)).join() === '1,n2', 'all read on the replica');

    await delayReplay('1h');
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

    await delayReplay('0');
    await bounded.query('SET understudy.max_lag_ms = 60000');
    for (const c of [writer, strong, session, eventual, bounded])
      await eventually(async () => (await count(c)).join() === '3,n2', 'all read on the replica again');
  });

  test('a token carries what one session did to another', async () => {
    const [writer, reader] = await Promise.all([client(on), client(on)]);
    await reader.query("SET understudy.consistency = 'session'");
    await eventually(async () => (await count(reader))[1] === 'n2', 'reads on the replica');
    await delayReplay('1h');
    const [before] = await count(reader);
    await writer.query('INSERT INTO t VALUES (4)');
    const token = String((await writer.query('SHOW understudy.token')).rows[0]?.['understudy.token']);
    expect(await count(reader)).toEqual([before, 'n2']);
    await reader.query(`SET understudy.token = '${token}'`);
    expect(await count(reader)).toEqual([before + 1, 'n1']);
    await expect(reader.query(`SET understudy.token = '${token.replace(/^u1:\d+/, 'u1:1')}'`)).rejects.toMatchObject({ code: '22023' });
    await delayReplay('0');
    await eventually(async () => (await count(reader)).join() === `${before + 1},n2`, 'reads on the replica again');
  });
});

describe('a replica whose replay is paused', () => {
  test('gets no read of any level, and reads go on', async () => {
    const sessions = await Promise.all([client(on), client(on), client(on)]);
    await sessions[0]?.query("SET understudy.consistency = 'eventual'");
    await sessions[1]?.query("SET understudy.consistency = 'session'");
    const everywhere = (place: string) => async (): Promise<boolean> => {
      const routes = await Promise.all(sessions.map(count));
      return routes.every(route => route[1] === place);
    };
    await eventually(everywhere('n2'), 'all read on the replica');
    await sql(n2, 'SELECT pg_wal_replay_pause()');
    await eventually(everywhere('n1'), 'all read on the primary');
    await sql(n2, 'SELECT pg_wal_replay_resume()');
    await eventually(everywhere('n2'), 'all read on the replica again');
  });
});
