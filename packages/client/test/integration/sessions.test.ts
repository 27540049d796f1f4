import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../../server/test/integration/postgres-fixture.ts';
import { currentSession, honoSessions, jobPayload, outsideSessions, runJob, type Session, withSession } from '../../src/index.ts';
import { type ClientBench, openClientBench, type RoutedPool } from './fixture.ts';

describe('sessions across requests and processes', () => {
  let on: ClientBench;
  /** Two processes that know nothing of each other's writes. */
  let here: RoutedPool;
  let there: RoutedPool;

  beforeAll(async () => {
    on = await openClientBench(1);
    here = on.pool({ application_name: 'here', consistency: 'session' });
    there = on.pool({ application_name: 'there', consistency: 'session', freshWaitMs: 0 });
    await here.query('create table posts(id int primary key)');
    await there.query('select 1');
  });
  afterAll(() => on.close());

  const paused = async (work: () => Promise<void>): Promise<void> => {
    await Promise.all(on.replicas.map(replica => sql(replica, 'select pg_wal_replay_pause()')));
    await work().finally(() => Promise.all(on.replicas.map(replica => sql(replica, 'select pg_wal_replay_resume()'))));
  };
  const reads = async (by: { query: RoutedPool['query'] }, id: number): Promise<{ n: number; r: boolean }> =>
    (await by.query<{ n: number; r: boolean }>('select count(*)::int as n, pg_is_in_recovery() as r from posts where id = $1', [id]))
      .rows[0]!;

  it('a token makes another process see what this one wrote; without it, it may not', async () => {
    await paused(async () => {
      const author = here.session();
      expect(author.token).toBe(null);
      await author.query('insert into posts values (1)');
      // The write is acknowledged only when the token covers it.
      const { token } = author;
      expect(token).toMatch(/^u1:\d+:1:/);
      expect(await reads(there.session(), 1)).toEqual({ n: 0, r: true });
      expect(await reads(there.session(token), 1)).toEqual({ n: 1, r: false });
    });
  });

  it('a transaction within the scope belongs to it, however deep', async () => {
    await paused(async () => {
      const session = here.session();
      await session.run(async () => {
        const client = await here.connect();
        await client.query('begin');
        await client.query('insert into posts values (2)');
        await client.query('commit');
        client.release();
        expect(currentSession()).toBe(session);
        expect(outsideSessions(() => currentSession())).toBe(null);
      });
      expect(currentSession()).toBe(null);
      expect(await reads(there.session(session.token), 2)).toEqual({ n: 1, r: false });
    });
  });

  it('takes no token that means nothing here, and says why', async () => {
    for (const token of ['', 'nonsense', 'u1:1:1:0/1', `u1:${'9'.repeat(500)}`]) {
      const session = there.session(token);
      await session.query('select 1');
      if (token !== '') expect(session.rejected).toMatch(/token/);
      expect(session.token ?? '').not.toBe(token === '' ? 'x' : token);
    }
  });

  it('a job sees what its maker saw, and the next job nothing of it', async () => {
    await paused(async () => {
      const maker = here.session();
      await maker.query('insert into posts values (3)');
      const payload = JSON.parse(JSON.stringify(await jobPayload(maker, { id: 3 })));
      const seen: (Session | null)[] = [];
      const work = async ({ id }: { id: number }): Promise<{ n: number; r: boolean }> => {
        seen.push(currentSession());
        return reads(there, id);
      };
      expect(await runJob(there, payload, work)).toEqual({ n: 1, r: false });
      expect(await runJob(there, { data: { id: 3 }, understudyToken: null }, work)).toEqual({ n: 0, r: true });
      expect(seen[0]).not.toBe(seen[1]);
      expect(currentSession()).toBe(null);
    });
  });

  it('a request brings its token and its answer takes the new one away', async () => {
    const handler = async (request: Request): Promise<Response> => {
      const id = Number(new URL(request.url).searchParams.get('id'));
      if (request.method === 'POST') await here.query('insert into posts values ($1)', [id]);
      return Response.json(await reads(request.method === 'POST' ? here : there, id));
    };
    await paused(async () => {
      const written = await withSession(here, handler)(new Request('http://app/?id=4', { method: 'POST' }));
      const cookie = (written.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
      expect(cookie).toMatch(/^understudy=u1%3A/);
      const asked = new Request('http://app/?id=4', { headers: { cookie: `other=1; ${cookie}` } });
      expect(await (await withSession(there, handler)(asked)).json()).toEqual({ n: 1, r: false });
      expect(await (await withSession(there, handler)(new Request('http://app/?id=4'))).json()).toEqual({ n: 0, r: true });

      const set: string[] = [];
      const header = (name: string): string | undefined =>
        name === 'x-understudy-token' ? (written.headers.get(name) ?? undefined) : undefined;
      const context = { req: { header }, header: (name: string, value: string) => void set.push(`${name}: ${value}`) };
      await honoSessions(there)(context, async () => {
        expect(await reads(there, 4)).toEqual({ n: 1, r: false });
      });
      expect(set.map(line => line.split(':')[0])).toEqual(['x-understudy-token', 'set-cookie']);
    });
  });
});
