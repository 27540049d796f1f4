import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { client, openProxyBench, type ProxyBench } from './proxy-fixture.ts';
import { sql } from './postgres-fixture.ts';

// What anybody can put into a database, or into the first packet, must move neither the agent's nor the router's own questions.
describe('hostile names', () => {
  let bench: ProxyBench;
  beforeAll(async () => {
    bench = await openProxyBench(0);
    const { primary } = bench;
    await sql(
      primary,
      'CREATE TABLE public.sprung(trap text); GRANT ALL ON public.sprung TO PUBLIC; GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC',
    );
    for (const [name, type, value] of [
      ['pg_is_in_recovery()', 'bool', 'true'],
      ['pg_current_wal_insert_lsn()', 'pg_lsn', "'0/1'"],
      ['pg_current_wal_flush_lsn()', 'pg_lsn', "'0/1'"],
      ['pg_last_wal_replay_lsn()', 'pg_lsn', "'0/1'"],
      ['pg_walfile_name(pg_lsn)', 'text', "'000000090000000000000001'"],
      ['current_setting(text)', 'text', "'hijacked'"],
      ['now()', 'timestamptz', "'infinity'"],
    ] as const) {
      const body = `BEGIN INSERT INTO public.sprung VALUES (${`'${name.replaceAll("'", "''")}'`}); RETURN ${value}; END`;
      await sql(primary, `CREATE FUNCTION public.${name} RETURNS ${type} LANGUAGE plpgsql AS $$${body}$$`);
    }
    for (const role of ['postgres', 'understudy_router']) await sql(primary, `ALTER ROLE ${role} SET search_path = public, pg_catalog`);
    await sql(primary, 'ALTER DATABASE postgres SET search_path = public, pg_catalog');
  });
  afterAll(() => bench?.close());

  const sprung = async (): Promise<unknown[]> => (await sql(bench.primary, 'SELECT trap FROM public.sprung')).map(row => row['trap']);

  test("functions in public under the names of the system's are not called by probes", async () => {
    const seen = await bench.primary.server.observe(5000);
    expect(seen).toMatchObject({ kind: 'primary', timeline: 1, synchronousNames: expect.not.stringContaining('hijacked') as string });
    const reader = await client(bench);
    await reader.query('CREATE TABLE t AS SELECT 1 AS x');
    expect((await reader.query('SELECT x FROM t')).rows).toEqual([{ x: 1 }]);
    expect(await sprung()).toEqual([]);
  });

  test.each([
    "x' OR ''='",
    "postgres'--",
    "'; DROP TABLE public.sprung; --",
    "\\'; DROP TABLE public.sprung; --",
    '"; DROP TABLE public.sprung; --',
  ])('a user who calls himself %s is nobody, and nothing else happens', async user => {
    await expect(client(bench, { user, password: 'x' })).rejects.toMatchObject({ code: '28P01' });
    expect(await sprung()).toEqual([]);
  });
});
