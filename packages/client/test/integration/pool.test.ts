import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CREDENTIALS, type Bench, type Member, sql } from '../../../server/test/integration/postgres-fixture.ts';
import { openCluster } from '../../../server/test/integration/proxy-fixture.ts';
import { Pool, type RouteInfo } from '../../src/index.ts';

describe('a pool over a primary and two replicas', () => {
  let bench: Bench;
  let primary: Member;
  let replicas: readonly Member[];
  let pool: Pool;
  const routes: RouteInfo[] = [];

  beforeAll(async () => {
    ({ bench, primary, replicas } = await openCluster(2));
    const url = (member: Member) =>
      `postgres://postgres:${encodeURIComponent(CREDENTIALS.superuser)}@127.0.0.1:${member.spec.settings.port}/postgres`;
    pool = new Pool({ connectionString: url(primary), replicas: replicas.map(url), freshWaitMs: 5000, max: 5 });
    pool.on('error', () => undefined);
    (pool as unknown as NodeJS.EventEmitter).on('route', (info: RouteInfo) => routes.push(info));
    await pool.query('create table posts(id int primary key, title text)');
  });
  afterAll(async () => {
    await pool.end();
    await bench.close();
  });

  const lastRoute = () => routes.at(-1);

  it('is a pg.Pool, for whoever asks', () => {
    expect(pool).toBeInstanceOf(pg.Pool);
  });

  it('sends reads to replicas, and each sees what was written before it', async () => {
    for (let id = 1; id <= 50; id++) {
      await pool.query('insert into posts values ($1, $2)', [id, `post ${id}`]);
      expect(lastRoute()).toMatchObject({ server: 'primary', reason: 'not-a-read' });
      const { rows } = await pool.query({ text: 'select title, pg_is_in_recovery() as replica from posts where id = $1', values: [id] });
      expect(rows).toEqual([{ title: `post ${id}`, replica: true }]);
    }
    expect(new Set(routes.filter(r => r.server === 'replica').map(r => r.replica)).size).toBe(2);
  });

  it('sees what a client of the pool has committed, before that client is released', async () => {
    const client = await pool.connect();
    await client.query('begin');
    await client.query('update posts set title = $1 where id = 1', ['changed']);
    await client.query('commit');
    expect((await pool.query('select title from posts where id = 1')).rows).toEqual([{ title: 'changed' }]);
    client.release();
  });

  it('runs on the primary what a replica refuses, and learns it', async () => {
    await pool.query(
      "create function note() returns int language sql volatile as $$ insert into posts values (1000, 'noted') on conflict do nothing returning 1 $$",
    );
    // The grammar cannot see that this view writes.
    await pool.query('create view sly as select note() as noted');
    expect((await pool.query('select noted from sly')).rows).toEqual([{ noted: 1 }]);
    expect(lastRoute()).toMatchObject({ server: 'primary', reason: 'refused-by-replica' });
    await pool.query('select noted from sly');
    expect(lastRoute()).toMatchObject({ server: 'primary', reason: 'not-a-read' });
  });

  it('answers reads from the primary when no replica is fresh enough', async () => {
    await Promise.all(replicas.map(replica => sql(replica, 'select pg_wal_replay_pause()')));
    const hasty = new Pool({ ...pool.options, replicas: replicas.map(r => ({ port: r.spec.settings.port })), freshWaitMs: 0 } as never);
    hasty.on('error', () => undefined);
    await hasty.query("insert into posts values (2000, 'late')");
    expect((await hasty.query('select title, pg_is_in_recovery() as replica from posts where id = 2000')).rows).toEqual([
      { title: 'late', replica: false },
    ]);
    await hasty.end();
    await Promise.all(replicas.map(replica => sql(replica, 'select pg_wal_replay_resume()')));
  });

  it('goes on without an error when the replicas are gone', async () => {
    await Promise.all(replicas.map(replica => replica.server.fence()));
    for (let i = 0; i < 10; i++)
      expect((await pool.query('select count(*)::int as n from posts where id <= 50')).rows).toEqual([{ n: 50 }]);
    expect(lastRoute()?.server).toBe('primary');
  });

  it('gives errors of statements as they are', async () => {
    await expect(pool.query('select nonsense')).rejects.toMatchObject({ code: '42703' });
  });
});
