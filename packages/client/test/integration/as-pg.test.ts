import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CREDENTIALS } from '../../../server/test/integration/postgres-fixture.ts';
import routed from '../../src/index.ts';
import { type ClientBench, openClientBench } from './fixture.ts';

type Module = { readonly Pool: typeof pg.Pool; readonly Client: typeof pg.Client };

/** What a behaviour shows; the same on both, or it is not pg's. */
type Behaviour = (module: Module, config: pg.PoolConfig) => Promise<unknown>;

const withPool = async <T>(module: Module, config: pg.PoolConfig, use: (pool: pg.Pool) => Promise<T>): Promise<T> => {
  const pool = new module.Pool(config);
  pool.on('error', () => undefined);
  try {
    return await use(pool);
  } finally {
    if (!pool.ending) await pool.end();
  }
};

const told = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'no error',
    (error: pg.DatabaseError) => ({
      name: error.name,
      code: error.code,
      message: error.message,
      isServers: error instanceof pg.DatabaseError,
    }),
  );

const shown = ({ rows, rowCount, command, fields }: pg.QueryResult | pg.QueryArrayResult): unknown => ({
  rows,
  rowCount,
  command,
  fields: fields.map(({ name, dataTypeID, format }) => ({ name, dataTypeID, format })),
});

/** By pg's own documentation, page by page. */
const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  'pool.query: text, values, config objects, results': (m, c) =>
    withPool(m, c, async pool => [
      shown(await pool.query('select 1 as one, null as nothing, now() is null as never')),
      shown(await pool.query('select $1::text as a, $2::int4[] as b, $3::jsonb as c', ['x', [1, 2], { d: 1 }])),
      shown(await pool.query({ text: 'select $1::int8 as big', values: ['9007199254740993'] })),
      shown(await pool.query({ text: 'select $1::int as a, 2 as b', values: [1], rowMode: 'array' })),
      shown(await pool.query({ name: 'named', text: 'select $1::int as a', values: [3] })),
      shown(await pool.query('')),
    ]),
  'several statements in one text give several results': (m, c) =>
    withPool(m, c, async pool =>
      (pool.query('select 1 as a; select 2 as b') as unknown as Promise<pg.QueryResult[]>).then(r => r.map(shown)),
    ),
  'callbacks of pool.query, with and without values': (m, c) =>
    withPool(m, c, async pool => {
      const seen: unknown[] = [];
      await new Promise<void>(resolve => {
        const returned: unknown = pool.query('select 1 as a', (error, result) => {
          seen.push(error ?? null, result.rows);
          pool.query('select $1::int as b', [2], (error2, result2) => {
            seen.push(error2 ?? null, result2.rows);
            pool.query('select nonsense', (error3, result3) => {
              seen.push((error3 as pg.DatabaseError).code, result3 ?? null);
              resolve();
            });
          });
        });
        seen.push(returned === undefined);
      });
      return seen;
    }),
  'types: per query, per pool': async (m, c) => {
    const types = { getTypeParser: () => (value: string) => `raw ${value}` };
    return [
      await withPool(m, c, async pool => (await pool.query({ text: 'select 1 as a', types })).rows),
      await withPool(m, { ...c, types }, async pool => (await pool.query('select 1 as a')).rows),
    ];
  },
  'errors of SQL, of values and of arguments': (m, c) =>
    withPool(m, c, async pool => [
      await told(pool.query('select nonsense')),
      await told(pool.query('select $1::int', ['x'])),
      await told(pool.query('syntax error')),
      await told(pool.query({ text: 'select $1::text', values: 'not an array' } as never)),
      await told((async () => pool.query(null as never))()),
      await told((async () => pool.query((() => undefined) as never))()),
    ]),
  'events and counters of a pool, in order': async (m, c) => {
    const seen: string[] = [];
    // When it comes depends on the network.
    let removed = 0;
    await withPool(m, { ...c, max: 2 }, async pool => {
      for (const event of ['connect', 'acquire', 'release'] as const) pool.on(event as 'connect', () => seen.push(event));
      const count = (): void => void seen.push(`${pool.totalCount} ${pool.idleCount} ${pool.waitingCount}`);
      pool.on('remove', () => (removed += 1));
      count();
      const first = await pool.connect();
      const second = await pool.connect();
      count();
      const third = pool.connect();
      count();
      first.release();
      (await third).release();
      count();
      second.release(new Error('broken'));
      count();
      await pool.query('select 1');
      await pool.query('select nonsense').catch(() => undefined);
      count();
      await pool.end();
      count();
    });
    while (removed < 2) await new Promise(resolve => setImmediate(resolve));
    return seen;
  },
  'a client: connect, query, release twice, end': (m, c) =>
    withPool(m, c, async pool => {
      const client = await pool.connect();
      const results = [await client.query('select 1 as a'), await client.query({ text: 'select $1::text as b', values: ['x'] })];
      client.release();
      return [results.map(shown), await told((async () => client.release())())];
    }),
  'pool.connect with a callback': (m, c) =>
    withPool(
      m,
      c,
      pool =>
        new Promise(resolve => {
          pool.connect((error, client, done) => {
            client?.query('select 1 as a', (failed, result) => {
              done();
              resolve([error ?? null, failed ?? null, result.rows]);
            });
          });
        }),
    ),
  'statements of a client are answered in the order in which they were given': (m, c) =>
    withPool(m, c, async pool => {
      const client = await pool.connect();
      const order: number[] = [];
      await Promise.all([1, 2, 3, 4].map(n => client.query(`select pg_sleep(${0.02 / n}), ${n} as n`).then(r => order.push(r.rows[0].n))));
      client.release();
      return order;
    }),
  'a transaction, its status, savepoints': (m, c) =>
    withPool(m, c, async pool => {
      const client = await pool.connect();
      const states = [client.getTransactionStatus()];
      for (const text of ['begin', 'savepoint a', 'select nonsense', 'select 1', 'rollback to a', 'select 1', 'rollback', 'select 1']) {
        const outcome = await told(client.query(text));
        // pg tells of an error before the status that follows it has come.
        states.push(outcome === 'no error' ? client.getTransactionStatus() : null, outcome as never);
      }
      client.release();
      return states;
    }),
  "a pg.Query of one's own tells its rows by events": (m, c) =>
    withPool(m, c, async pool => {
      const client = await pool.connect();
      const seen: unknown[] = [];
      const query = client.query(new pg.Query('select generate_series(1, 3) as n'));
      query.on('row', row => seen.push(row));
      await once(query, 'end');
      const failing = client.query(new pg.Query('select nonsense'));
      const [error] = await once(failing, 'error').catch((failure: unknown) => [failure]);
      seen.push((error as pg.DatabaseError).code);
      seen.push(shown(await client.query('select 1 as after')));
      client.release();
      return seen;
    }),
  'notices and notifications': (m, c) =>
    withPool(m, c, async pool => {
      const client = await pool.connect();
      const notice = once(client, 'notice');
      await client.query("do $$ begin raise notice 'look'; end $$");
      const notification = once(client, 'notification');
      await client.query('listen channel; ');
      await client.query("select pg_notify('channel', 'payload')");
      const seen = [(await notice)[0].message, (await notification)[0].channel, (await notification)[0].payload];
      client.release();
      return seen;
    }),
  query_timeout: (m, c) =>
    withPool(m, { ...c, query_timeout: 100 }, async pool => [
      await told(pool.query('select pg_sleep(5)')),
      await told(pool.query('select 1')),
    ]),
  'statement_timeout, application_name and options reach the servers': (m, c) =>
    withPool(
      m,
      { ...c, statement_timeout: 54_321, application_name: 'mine', options: '-c work_mem=7MB' },
      async pool =>
        (
          await pool.query(
            "select current_setting('statement_timeout') as a, current_setting('application_name') as b, current_setting('work_mem') as c",
          )
        ).rows,
    ),
  'onConnect, and what a listener of connect sets': (m, c) =>
    withPool(
      m,
      { ...c, onConnect: (client: pg.ClientBase) => client.query("set timezone = 'Asia/Tokyo'") } as unknown as pg.PoolConfig,
      async pool => {
        pool.on('connect', client => void client.query("set application_name = 'by connect'"));
        return (await pool.query("select current_setting('timezone') as z, current_setting('application_name') as n")).rows;
      },
    ),
  'a wrong password, a database that is not there': async (m, c) => [
    await withPool(m, { ...c, password: 'wrong' }, pool => told(pool.query('select 1'))),
    await withPool(m, { ...c, database: 'nowhere' }, pool => told(pool.connect())),
  ],
  'connectionTimeoutMillis while all clients are taken': (m, c) =>
    withPool(m, { ...c, max: 1, connectionTimeoutMillis: 2_000 }, async pool => {
      const client = await pool.connect();
      const refused = await told(pool.connect());
      client.release();
      return refused;
    }),
  'a pool that has ended': async (m, c) => {
    const pool = new m.Pool(c);
    await pool.query('select 1');
    await pool.end();
    return [pool.ending, pool.ended, await told(pool.query('select 1')), await told(pool.connect()), await told(pool.end())];
  },
  'a client by itself': async (m, c) => {
    const client = new m.Client(c);
    const connected = once(client, 'connect');
    const before = client.query('select 1 as early');
    await client.connect();
    await connected;
    const again = await told(client.connect());
    const seen = [shown(await before), shown(await client.query('select 2 as a')), again];
    const ended = once(client, 'end');
    await client.end();
    await ended;
    return [seen, await told(client.query('select 1'))];
  },
  escaping: async (m, c) => {
    const client = new m.Client(c);
    return [client.escapeIdentifier('a"b'), client.escapeLiteral("a'b\\"), client.host, client.database, client.user];
  },
};

describe("pg's own documented behaviours", () => {
  let on: ClientBench;
  let config: pg.PoolConfig;

  beforeAll(async () => {
    on = await openClientBench(1);
    const { port } = on.primary.spec.settings;
    config = { host: '127.0.0.1', port, user: 'postgres', password: CREDENTIALS.superuser, database: 'postgres', max: 4 };
  });
  afterAll(() => on.close());

  it.each(Object.keys(BEHAVIOURS))('%s', async name => {
    const behaviour = BEHAVIOURS[name] as Behaviour;
    const replicas = on.replicas.map(replica => `127.0.0.1:${replica.spec.settings.port}`);
    const expected = await behaviour(pg, config);
    expect(await behaviour(routed as unknown as Module, { ...config, servers: replicas, freshWaitMs: 5_000 } as pg.PoolConfig)).toEqual(
      expected,
    );
  });
});
