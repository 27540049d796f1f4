import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../../server/test/integration/postgres-fixture.ts';
import { defineCluster } from '../../src/index.ts';
import { addressOf, type ClientBench, openClientBench, type RoutedPool } from './fixture.ts';

describe('a pool over a primary and two replicas that nobody else watches', () => {
  let on: ClientBench;
  let pool: RoutedPool;

  beforeAll(async () => {
    on = await openClientBench(2);
    pool = on.pool();
    await pool.query('create table posts(id int primary key, title text)');
  });
  afterAll(() => on.close());

  it('is a pg.Pool, and its clients are pg.Clients, for whoever asks', async () => {
    expect(pool).toBeInstanceOf(pg.Pool);
    const client = await pool.connect();
    expect(client).toBeInstanceOf(pg.Client);
    client.release();
  });

  it('finds out who is who', async () => {
    await pool.query('insert into posts values (0, $1)', ['who']);
    expect(pool.last).toMatchObject({ role: 'primary', server: addressOf(on.primary) });
  });

  it('sends reads to replicas, and each sees what was written before it', async () => {
    const before = pool.seen.length;
    for (let id = 1; id <= 50; id++) {
      await pool.query('insert into posts values ($1, $2)', [id, `post ${id}`]);
      const { rows } = await pool.query({ text: 'select title, pg_is_in_recovery() as replica from posts where id = $1', values: [id] });
      expect(rows).toEqual([{ title: `post ${id}`, replica: true }]);
    }
    const readers = pool.seen.slice(before).filter(route => route.role === 'replica');
    expect(new Set(readers.map(route => route.server))).toEqual(new Set(on.replicas.map(addressOf)));
  });

  it('routes each statement of a client by itself, and binds a transaction to the primary', async () => {
    const client = await pool.connect();
    expect((await client.query('select pg_is_in_recovery() as replica')).rows).toEqual([{ replica: true }]);
    await client.query('begin');
    expect((await client.query('select pg_is_in_recovery() as replica')).rows).toEqual([{ replica: false }]);
    await client.query('update posts set title = $1 where id = 1', ['changed']);
    expect(client.getTransactionStatus()).toBe('T');
    await client.query('commit');
    expect(client.getTransactionStatus()).toBe('I');
    expect((await client.query('select title, pg_is_in_recovery() as replica from posts where id = 1')).rows).toEqual([
      { title: 'changed', replica: true },
    ]);
    client.release();
  });

  it('runs a read-only transaction on one replica, which has all that was committed before', async () => {
    await pool.query("insert into posts values (500, 'for the report')");
    const client = await pool.connect();
    await client.query('begin isolation level repeatable read read only');
    const { rows } = await client.query('select title, pg_is_in_recovery() as replica from posts where id = 500');
    expect(rows).toEqual([{ title: 'for the report', replica: true }]);
    await expect(client.query('select pg_advisory_xact_lock(1)')).rejects.toMatchObject({ code: '25006' });
    await client.query('rollback');
    client.release();
  });

  it('remembers settings and gives them to every server', async () => {
    const client = await pool.connect();
    await client.query("set application_name = 'set by hand'");
    await client.query('begin');
    await client.query("set local statement_timeout = '1234ms'");
    await client.query('commit');
    for (let i = 0; i < 4; i++) {
      const { rows } = await client.query(
        "select current_setting('application_name') as name, current_setting('statement_timeout') as timeout, pg_is_in_recovery() as replica",
      );
      expect(rows).toEqual([{ name: 'set by hand', timeout: '0', replica: true }]);
    }
    await client.query('begin');
    await client.query("set application_name = 'never'");
    await client.query('rollback');
    expect((await client.query("select current_setting('application_name') as name")).rows).toEqual([{ name: 'set by hand' }]);
    client.release();
    // Nobody else meets them.
    const others = await Promise.all([1, 2, 3].map(() => pool.connect()));
    const names = await Promise.all(others.map(other => other.query("select current_setting('application_name') as name")));
    expect(names.filter(({ rows }) => rows[0].name === 'set by hand').length).toBe(1);
    for (const other of others) other.release(true);
  });

  it('knows what is left after DISCARD ALL without asking anybody', async () => {
    const client = await pool.connect();
    await client.query("set search_path to 'elsewhere'");
    const before = pool.seen.length;
    expect(await client.query('discard all')).toMatchObject({ command: 'DISCARD', rows: [] });
    expect(pool.seen.length).toBe(before);
    expect((await client.query("select current_setting('search_path') as path")).rows).toEqual([{ path: '"$user", public' }]);
    client.release();
  });

  it('takes the servers of a cluster that was defined once, when it names one of them', async () => {
    const alone = addressOf(on.primary);
    defineCluster({ servers: [alone, ...on.replicas.map(addressOf)], freshWaitMs: 5_000 });
    const small = on.pool({ connectionString: on.url.replace(/@[^/]+/, `@${alone}`) });
    expect((await small.query('select pg_is_in_recovery() as replica')).rows).toEqual([{ replica: true }]);
    expect(small.last?.role).toBe('replica');
  });

  it('stays where its session has state, until it is released', async () => {
    const client = await pool.connect();
    await client.query('create temporary table mine(id int)');
    await client.query('insert into mine values (1)');
    expect((await client.query('select count(*)::int as n, pg_is_in_recovery() as replica from mine')).rows).toEqual([
      { n: 1, replica: false },
    ]);
    const told: string[] = [];
    const heard = new Promise<void>(resolve => {
      client.on('notification', ({ payload }) => {
        told.push(payload ?? '');
        resolve();
      });
    });
    await client.query('listen news');
    await pool.query("select pg_notify('news', 'extra')");
    await heard;
    expect(told).toEqual(['extra']);
    client.release();
    const next = await pool.connect();
    await expect(next.query('select * from mine')).rejects.toMatchObject({ code: '42P01' });
    next.release();
  });

  it('runs on the primary what a replica refuses, and learns it', async () => {
    await pool.query(
      "create function note() returns int language sql volatile as $$ insert into posts values (1000, 'noted') on conflict do nothing returning 1 $$",
    );
    // The grammar cannot see that this view writes.
    await pool.query('create view sly as select note() as noted');
    expect((await pool.query('select noted from sly')).rows).toEqual([{ noted: 1 }]);
    expect(pool.last).toMatchObject({ role: 'primary', attempt: 2 });
    await pool.query('select noted from sly');
    expect(pool.last).toMatchObject({ role: 'primary', attempt: 1 });
    expect(pool.routes.retries).toEqual({ 25006: 1 });
  });

  it('asks what a function is, and sends those that are stable to replicas', async () => {
    await pool.query('create function title_of(int) returns text language sql stable as $$ select title from posts where id = $1 $$');
    for (;;) {
      await pool.query('select title_of(1)');
      if (pool.last?.role === 'replica') break;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  });

  it('cancels what runs on whichever server by its virtual process id', async () => {
    const client = await pool.connect();
    const pid = (client as unknown as { processID: number }).processID;
    const sleeping = client.query('select pg_sleep(60), 1 from posts limit 1');
    const failed = expect(sleeping).rejects.toMatchObject({ code: '57014' });
    for (;;) {
      const { rows } = await pool.query('select pg_cancel_backend($1) as done', [pid]);
      if (rows[0].done) break;
    }
    await failed;
    client.release();
  });

  it('answers SHOW and SET understudy by itself', async () => {
    const client = await pool.connect();
    await client.query("set understudy.route = 'primary'");
    expect((await client.query('select pg_is_in_recovery() as replica')).rows).toEqual([{ replica: false }]);
    expect((await client.query('show understudy.last_route')).rows[0]['understudy.last_route']).toContain('understudy.route = primary');
    const { rows } = await client.query({ text: 'show understudy.token', rowMode: 'array' });
    expect(rows[0]?.[0]).toMatch(/^u1:\d+:1:[0-9A-F]+\/[0-9A-F]+$/);
    client.release();
  });

  it('takes named statements with one text each, whichever server prepares them', async () => {
    for (const text of ['select 1 as x', 'select 2 as x']) {
      const client = await pool.connect();
      for (let i = 0; i < 3; i++) await client.query({ name: 'same name', text, values: [] });
      expect((await client.query({ name: 'same name', text })).rows).toEqual([{ x: Number(text[7]) }]);
      client.release(true);
    }
    const client = await pool.connect();
    await client.query({ name: 'one', text: 'select 1' });
    await expect(client.query({ name: 'one', text: 'select 2' })).rejects.toThrow('Prepared statements must be unique');
    client.release();
  });

  it('answers reads from the primary when no replica is fresh enough', async () => {
    await Promise.all(on.replicas.map(replica => sql(replica, 'select pg_wal_replay_pause()')));
    const hasty = on.pool({ freshWaitMs: 0 });
    await hasty.query("insert into posts values (2000, 'late')");
    expect((await hasty.query('select title, pg_is_in_recovery() as replica from posts where id = 2000')).rows).toEqual([
      { title: 'late', replica: false },
    ]);
    await hasty.end();
    await Promise.all(on.replicas.map(replica => sql(replica, 'select pg_wal_replay_resume()')));
  });

  it('explains without running', async () => {
    expect(await pool.explain('select * from posts')).toMatchObject({ role: 'replica' });
    expect(await pool.explain('delete from posts')).toMatchObject({ role: 'primary', server: addressOf(on.primary) });
    expect((await pool.query('select count(*)::int as n from posts')).rows[0].n).toBeGreaterThan(50);
  });

  it('gives errors of statements as they are', async () => {
    await expect(pool.query('select nonsense')).rejects.toMatchObject({ code: '42703' });
    await expect(pool.query('select $1::int', ['x'])).rejects.toMatchObject({ code: '22P02' });
  });

  it('goes on without an error when the replicas are gone', async () => {
    await Promise.all(on.replicas.map(replica => replica.server.fence()));
    for (let i = 0; i < 10; i++) {
      expect((await pool.query('select count(*)::int as n from posts where id between 1 and 50')).rows).toEqual([{ n: 50 }]);
    }
    expect(pool.last?.role).toBe('primary');
  });
});
