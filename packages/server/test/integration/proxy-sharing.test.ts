import { once } from 'node:events';
import { connect } from 'node:net';
import { backend, cancelRequest, frontend, readErrorFields } from '@understudy/wire';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { shape, WireClient } from '../support/wire-client.ts';
import { CREDENTIALS, eventually, sql } from './postgres-fixture.ts';
import { client, openProxyBench, type ProxyBench, secondProxy } from './proxy-fixture.ts';

const { bind, close, describe: ask, execute, parse, query, SYNC } = frontend;
const statement = (name: string) => ({ kind: 'statement', name }) as const;

/** Clients at once, and what they have to share: whatever one leaves behind on a server connection, another one finds. */
const CLIENTS = 6;
const SHARED = { poolSize: 3 };
/** Clients that may hold a connection for themselves and leave one to share. */
const HOLDERS = 2;

describe('clients that share few server connections see nothing of each other', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1, SHARED);
  });

  afterAll(() => on?.close());

  const several = (count = CLIENTS): Promise<pg.Client[]> => Promise.all(Array.from({ length: count }, () => client(on)));
  const ended = (clients: readonly pg.Client[]): Promise<unknown> => Promise.all(clients.map(c => c.end()));
  const answer = async (c: pg.Client, text: string, values: unknown[] = []): Promise<unknown> => {
    const row = (await c.query(text, values)).rows[0] as Record<string, unknown> | undefined;
    return row === undefined ? undefined : Object.values(row)[0];
  };
  const opened: WireClient[] = [];
  const wire = async (more: Readonly<Record<string, string>> = {}): Promise<WireClient> => {
    const made = await WireClient.login(on.port, 'postgres', CREDENTIALS.superuser, more);
    opened.push(made);
    return made;
  };
  // A test that fails half-way must not keep connections from those after it.
  afterEach(async () => {
    for (const { socket } of opened.splice(0)) socket.destroy();
    await ended(on.clients.splice(0));
  });
  /** The first column of every row of an exchange, and the SQLSTATE of every error. */
  const told = async (c: WireClient, ...send: Buffer[]): Promise<string[]> => {
    c.send(...send);
    const received = await c.untilReady(send.filter(m => m[0] === 0x51 || m[0] === 0x53).length);
    return received.flatMap(({ type, frame }) => {
      if (type === 'D') return [backend.readDataRow(frame)[0] ?? 'NULL'];
      return type === 'E' ? [`error ${readErrorFields(frame).code}`] : [];
    });
  };

  describe('settings', () => {
    const NAMES = ['work_mem', 'search_path', 'app.tenant', 'statement_timeout', 'TimeZone', 'application_name'] as const;
    const valueOf = (name: (typeof NAMES)[number], i: number): string => {
      switch (name) {
        case 'work_mem':
          return `${i + 10}MB`;
        case 'search_path':
          return `s${i}`;
        case 'statement_timeout':
          return `${i + 61}s`;
        case 'TimeZone':
          return `Etc/GMT-${i + 1}`;
        default:
          return `v${i}`;
      }
    };

    test('trap 24: of every kind, reported or not, hold for their own client and nobody else', async () => {
      const clients = await several();
      await Promise.all(
        clients.map(async (c, i) => {
          for (const name of NAMES) {
            await c.query(`SELECT set_config('${name}', $1, false)`, [valueOf(name, i)]);
            for (const seen of NAMES.slice(0, NAMES.indexOf(name) + 1)) {
              expect(await answer(c, `SELECT current_setting('${seen}')`)).toBe(valueOf(seen, i));
              // In a transaction the primary answers, outside of one a replica may.
              await c.query('BEGIN');
              expect(await answer(c, `SELECT current_setting('${seen}')`)).toBe(valueOf(seen, i));
              await c.query(`SET LOCAL work_mem = '99MB'`);
              await c.query(i % 2 === 0 ? 'COMMIT' : 'ROLLBACK');
            }
          }
        }),
      );
      const fresh = await client(on);
      const direct = (name: string): Promise<unknown> =>
        sql(on.primary, `SELECT current_setting('${name}', true) AS v`).then(rows => rows[0]?.['v']);
      for (const name of NAMES.filter(n => n !== 'application_name')) {
        expect([name, (await answer(fresh, `SELECT current_setting('${name}', true)`)) || null]).toEqual([
          name,
          (await direct(name)) || null,
        ]);
      }
      await ended([...clients, fresh]);
    });

    test('trap 24: a search_path never leads another client to another table', async () => {
      const [maker] = await several(1);
      for (let i = 0; i < CLIENTS; i++) await maker?.query(`CREATE SCHEMA own${i}; CREATE TABLE own${i}.things AS SELECT ${i} AS owner`);
      const clients = await several();
      await Promise.all(clients.map((c, i) => c.query(`SET search_path TO own${i}`)));
      for (let round = 0; round < 10; round++) {
        const owners = await Promise.all(clients.map(c => answer(c, 'SELECT owner FROM things')));
        expect(owners).toEqual(clients.map((_, i) => i));
        const prepared = await Promise.all(clients.map(c => c.query({ name: 'same', text: 'SELECT owner FROM things' })));
        expect(prepared.map(({ rows }) => rows[0].owner)).toEqual(clients.map((_, i) => i));
      }
      await ended(clients);
    });

    test('trap 25: SET that is rolled back, also to a savepoint, is forgotten, whoever is served in between', async () => {
      const clients = await several();
      await Promise.all(
        clients.map(async (c, i) => {
          const own = `${i + 20}MB`;
          await c.query(`SET work_mem = '${own}'`);
          for (let round = 0; round < 5; round++) {
            await c.query('BEGIN');
            await c.query("SET work_mem = '77MB'");
            await c.query('SAVEPOINT a');
            await c.query("SET work_mem = '78MB'");
            await c.query('ROLLBACK TO a');
            expect(await answer(c, 'SHOW work_mem')).toBe('77MB');
            await c.query('ROLLBACK');
            expect(await answer(c, 'SHOW work_mem')).toBe(own);
            await c.query("BEGIN; SET LOCAL work_mem = '79MB'; SELECT 1; COMMIT");
            expect(await answer(c, 'SHOW work_mem')).toBe(own);
            await expect(c.query("BEGIN; SET work_mem = '80MB'; SELECT 1/0; COMMIT")).rejects.toMatchObject({ code: '22012' });
            await c.query('ROLLBACK');
            expect(await answer(c, 'SHOW work_mem')).toBe(own);
          }
        }),
      );
      await ended(clients);
    });

    test('trap 25: options of the startup message hold, with escapes and several at once', async () => {
      const clients = await Promise.all(
        Array.from({ length: CLIENTS }, (_, i) =>
          client(on, { options: `-c work_mem=${i + 30}MB -c app.name=a\\ b${i} --statement_timeout=${i + 1}min` }),
        ),
      );
      for (let round = 0; round < 3; round++) {
        const seen = await Promise.all(
          clients.map(c =>
            answer(
              c,
              "SELECT concat_ws('|', current_setting('work_mem'), current_setting('app.name'), current_setting('statement_timeout'))",
            ),
          ),
        );
        expect(seen).toEqual(clients.map((_, i) => `${i + 30}MB|a b${i}|${i + 1}min`));
      }
      await clients[0]?.query("SET work_mem = '1MB'");
      await clients[0]?.query('RESET work_mem');
      expect(await answer(clients[0] as pg.Client, 'SHOW work_mem')).toBe('30MB');
      await ended(clients);
    });

    test('trap 28: DISCARD ALL and RESET ALL of one client leave the others theirs', async () => {
      const clients = await several();
      await Promise.all(clients.map((c, i) => c.query(`SET work_mem = '${i + 40}MB'`)));
      await clients[0]?.query('DISCARD ALL');
      await clients[1]?.query('RESET ALL');
      const byDefault = (await sql(on.primary, 'SHOW work_mem'))[0]?.['work_mem'];
      const seen = await Promise.all(clients.map(c => answer(c, 'SHOW work_mem')));
      expect(seen).toEqual([byDefault, byDefault, ...clients.slice(2).map((_, i) => `${i + 42}MB`)]);
      await ended(clients);
    });

    test('trap 33: row security with SET LOCAL ROLE and a tenant of the transaction', async () => {
      const [maker] = await several(1);
      await maker?.query(
        `CREATE ROLE tenant; CREATE TABLE notes (tenant text, body text); GRANT SELECT ON notes TO tenant;
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON notes USING (tenant = current_setting('app.tenant', true));
         INSERT INTO notes SELECT 't' || i, 'of ' || i FROM generate_series(0, 9) i`,
      );
      const clients = await several();
      await Promise.all(
        clients.map(async (c, i) => {
          for (let round = 0; round < 10; round++) {
            await c.query('BEGIN');
            await c.query('SET LOCAL ROLE tenant');
            await c.query("SELECT set_config('app.tenant', $1, true)", [`t${i}`]);
            expect((await c.query('SELECT body FROM notes')).rows).toEqual([{ body: `of ${i}` }]);
            await c.query('COMMIT');
            expect(await answer(c, 'SELECT current_user::text')).toBe('postgres');
            expect(await answer(c, "SELECT coalesce(current_setting('app.tenant', true), '')")).toBe('');
          }
        }),
      );
      await ended(clients);
    });

    test('trap 24: SET ROLE and SET SESSION AUTHORIZATION stay with their client', async () => {
      await sql(on.primary, 'CREATE ROLE actor');
      const [a, b, c] = (await several(3)) as [pg.Client, pg.Client, pg.Client];
      await a.query('SET ROLE actor');
      await b.query('SET SESSION AUTHORIZATION actor');
      for (let round = 0; round < 10; round++) {
        const seen = await Promise.all([a, b, c].map(x => answer(x, "SELECT current_user || ' ' || session_user")));
        expect(seen).toEqual(['actor postgres', 'actor actor', 'postgres postgres']);
      }
      await ended([a, b, c]);
      expect(await answer(await client(on), "SELECT current_user || ' ' || session_user")).toBe('postgres postgres');
    });

    test('trap 27: clients with the same settings cost the servers no SET of their own', async () => {
      await sql(on.primary, 'CREATE DATABASE quiet');
      const options = { database: 'quiet', options: '-c DateStyle=iso -c extra_float_digits=2' };
      const [a, b] = [await client(on, options), await client(on, options)];
      await a.query('CREATE TABLE t (i int)');
      // Connections tell the statistics what they have done when they are told to, not some time; at once, so that each takes another one.
      const transactions = async (): Promise<number> => {
        await Promise.all([a, b].map(c => c.query('SELECT pg_stat_force_next_flush(), pg_sleep(0.05)')));
        return Number((await sql(on.primary, "SELECT xact_commit AS n FROM pg_stat_database WHERE datname = 'quiet'"))[0]?.['n']);
      };
      // Until it is known that no trigger of this database changes a session, each write is looked into.
      await eventually(async () => {
        const start = await transactions();
        for (let i = 0; i < 10; i++) await (i % 2 === 0 ? a : b).query('INSERT INTO t VALUES (1)');
        return (await transactions()) - start < 15;
      }, 'the proxy knows the database');
      const before = await transactions();
      for (let i = 0; i < 100; i++) await (i % 2 === 0 ? a : b).query('INSERT INTO t VALUES (1)');
      await eventually(async () => (await transactions()) - before >= 100, 'the transactions are counted');
      expect((await transactions()) - before).toBeLessThan(150);
      await ended([a, b]);
    });
  });

  describe('prepared statements', () => {
    test('trap 11: unnamed statements of different shapes are never mixed up', async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => wire()));
      for (let round = 0; round < 20; round++) {
        const seen = await Promise.all(
          clients.map((c, i) => {
            const columns = Array.from({ length: i + 1 }, (_, n) => `${i * 100 + n} AS c${n}`).join(', ');
            c.send(parse('', `SELECT ${columns}`), bind('', ''), ask({ kind: 'portal', name: '' }), execute(), SYNC);
            return c.untilReady();
          }),
        );
        seen.forEach((received, i) => {
          const row = received.find(m => m.type === 'D');
          expect(row && backend.readDataRow(row.frame)).toEqual(Array.from({ length: i + 1 }, (_, n) => String(i * 100 + n)));
          expect(received.find(m => m.type === 'T')?.frame.readUInt16BE(5)).toBe(i + 1);
        });
      }
      await Promise.all(clients.map(c => c.end()));
    });

    test('trap 10: an unnamed statement is still there in the next group, whoever came in between', async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => wire()));
      for (let round = 0; round < 10; round++) {
        await Promise.all(clients.map((c, i) => told(c, parse('', `SELECT $1::int + ${i}`), ask(statement('')), SYNC)));
        const seen = await Promise.all(clients.map(c => told(c, bind('', '', ['1000']), execute(), SYNC)));
        expect(seen).toEqual(clients.map((_, i) => [String(1000 + i)]));
        const again = await Promise.all(clients.map(c => told(c, bind('', '', ['2000']), execute(), SYNC)));
        expect(again).toEqual(clients.map((_, i) => [String(2000 + i)]));
      }
      await Promise.all(clients.map(c => c.end()));
    });

    describe('trap 10: what another client has left unnamed on the connection is not there', () => {
      const BIND = [bind('', ''), execute(), SYNC];
      const text = "SELECT 'of its own'";
      const GROUPS: Readonly<Record<string, readonly (readonly Buffer[])[]>> = {
        'for one that has parsed nothing': [BIND],
        'for one that describes without a Parse': [[ask(statement('')), SYNC]],
        'for one that has closed its own': [[parse('', text), SYNC], [close(statement('')), SYNC], BIND],
        'for one whose simple Query has dropped its own': [[parse('', text), SYNC], [query('SELECT 1')], BIND],
        'for one whose Parse has failed': [[parse('', text), SYNC], [parse('', 'SELECT no_such_column'), SYNC], BIND],
        'for one whose Parse was passed over': [[parse('x', 'SELECT no_such_column'), parse('', text), SYNC], BIND],
        'while its own still is': [[parse('', text), SYNC], BIND, BIND],
      };
      const answers = async (c: WireClient, group: readonly Buffer[]): Promise<string[]> => {
        c.send(...group);
        return (await c.untilReady()).map(shape);
      };

      test.each(Object.entries(GROUPS))('%s', async (name, groups) => {
        const one = await secondProxy(on, { poolSize: 1 });
        const login = (): Promise<WireClient> =>
          WireClient.login(one.port, 'postgres', CREDENTIALS.superuser, { 'understudy.route': 'primary' });
        const direct = await WireClient.login(on.primary.spec.settings.port, 'postgres', CREDENTIALS.superuser);
        const [owner, other] = await Promise.all([login(), login()]);
        for (const [i, group] of groups.entries()) {
          // A text that comes but once is not given a name: it is the unnamed statement of the one connection that both share.
          expect(await told(owner, parse('', `SELECT 'of the owner ${name} ${i}'`), SYNC)).toEqual([]);
          expect(await answers(other, group)).toEqual(await answers(direct, group));
        }
        await Promise.all([owner, other, direct].map(c => c.end()));
      });
    });

    test('trap 7: what is sent ahead of the answer to a Parse that fails finds no statement', async () => {
      const [c, direct] = [await wire(), await WireClient.login(on.primary.spec.settings.port, 'postgres', CREDENTIALS.superuser)];
      const answers = async (to: WireClient): Promise<string[]> => {
        to.send(parse('s', 'SELECT no_such_column'), parse('', "SELECT 'passed over'"), SYNC);
        for (const name of ['', 's']) to.send(bind('', name), execute(), SYNC, ask(statement(name)), SYNC);
        return (await to.untilReady(5)).map(shape);
      };
      for (let round = 0; round < 5; round++) {
        expect(await answers(c)).toEqual(await answers(direct));
        for (const to of [c, direct]) expect(await told(to, parse('s', 'SELECT 1'), bind('', 's'), execute(), SYNC)).toEqual(['1']);
        for (const to of [c, direct]) expect(await told(to, close(statement('s')), SYNC)).toEqual([]);
      }
      await Promise.all([c.end(), direct.end()]);
    });

    test('trap 9: Describe alone of a named statement works on every server connection', async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => wire()));
      await Promise.all(clients.map((c, i) => told(c, parse('s', `SELECT ${i} AS one, $1::text AS two`), SYNC)));
      for (let round = 0; round < 10; round++) {
        await Promise.all(
          clients.map(async c => {
            c.send(ask(statement('s')), SYNC);
            expect((await c.untilReady()).map(m => m.type).join('')).toBe('tTZ');
          }),
        );
      }
      await Promise.all(clients.map(c => c.end()));
    });

    test('trap 12: DEALLOCATE ALL and DISCARD ALL of one client leave the statements of others', async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => wire()));
      await Promise.all(clients.map((c, i) => told(c, parse('s', `SELECT ${i}`), SYNC)));
      expect(await told(clients[0] as WireClient, query('DEALLOCATE ALL'))).toEqual([]);
      expect(await told(clients[1] as WireClient, query('DISCARD ALL'))).toEqual([]);
      for (let round = 0; round < 5; round++) {
        const seen = await Promise.all(clients.map(c => told(c, bind('', 's'), execute(), SYNC)));
        expect(seen).toEqual([['error 26000'], ['error 26000'], ...clients.slice(2).map((_, i) => [String(i + 2)])]);
      }
      await Promise.all(clients.map(c => c.end()));
    });

    test('trap 13: a PREPARE that fails, or that another client made, is nothing to execute', async () => {
      const [a, b, c] = await Promise.all([wire(), wire(), wire()]);
      for (let round = 0; round < 10; round++) {
        const name = `p${round}`;
        const [failed, foreign] = await Promise.all([
          told(a, query(`PREPARE ${name} AS SELECT broken_column`)),
          told(b, query(`EXECUTE ${name}`)),
        ]);
        expect([failed, foreign]).toEqual([['error 42703'], ['error 26000']]);
        expect(await told(a, query(`PREPARE ${name} AS SELECT 'of a'`))).toEqual([]);
        expect(await told(c, query(`EXECUTE ${name}`))).toEqual(['error 26000']);
        expect(await told(c, query(`PREPARE ${name} AS SELECT 'of c'`))).toEqual([]);
        expect(await Promise.all([told(a, query(`EXECUTE ${name}`)), told(c, query(`EXECUTE ${name}`))])).toEqual([['of a'], ['of c']]);
        expect(await told(b, query(`EXECUTE ${name}`))).toEqual(['error 26000']);
        expect(await told(c, query(`DEALLOCATE ${name}`))).toEqual([]);
        expect(await told(a, query(`EXECUTE ${name}`))).toEqual(['of a']);
        expect(await told(a, query(`DEALLOCATE ${name}`))).toEqual([]);
      }
      await Promise.all([a, b, c].map(x => x.end()));
    });

    test('trap 7: a Parse that fails does not spoil the same statement for others', async () => {
      const [a, b] = await Promise.all([wire(), wire()]);
      const text = 'SELECT i FROM made_later';
      expect(await told(a, parse('s', text), SYNC)).toEqual(['error 42P01']);
      expect(await told(a, close(statement('s')), SYNC)).toEqual([]);
      expect(await told(b, query('CREATE TABLE made_later AS SELECT 5 AS i'))).toEqual([]);
      for (const c of [a, b, a, b]) {
        expect(await told(c, parse('s', text), bind('', 's'), execute(), SYNC)).toEqual(['5']);
        expect(await told(c, close(statement('s')), SYNC)).toEqual([]);
      }
      await Promise.all([a.end(), b.end()]);
    });

    test('trap 14: after a change of the table, statements prepared anew work for everybody', async () => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => wire()));
      const [maker] = await several(1);
      await maker?.query('CREATE TABLE shifting AS SELECT 1 AS a');
      await Promise.all(clients.map(c => told(c, parse('s', 'SELECT * FROM shifting'), bind('', 's'), execute(), SYNC)));
      await maker?.query('ALTER TABLE shifting ADD COLUMN b int DEFAULT 2');
      // PostgreSQL itself refuses the old plan (0A000); a statement of another name has the same text and must be right at once.
      await Promise.all(
        clients.map(async c => {
          c.send(parse('s2', 'SELECT * FROM shifting'), ask(statement('s2')), bind('', 's2'), execute(), SYNC);
          const received = await c.untilReady();
          expect(received.find(m => m.type === 'T')?.frame.readUInt16BE(5)).toBe(2);
          const row = received.find(m => m.type === 'D');
          expect(row && backend.readDataRow(row.frame)).toEqual(['1', '2']);
        }),
      );
      const old = await Promise.all(clients.map(c => told(c, bind('', 's'), execute(), SYNC)));
      for (const seen of old) expect([['error 0A000'], ['1']]).toContainEqual(seen);
      await Promise.all(clients.map(c => c.end()));
    });

    test('trap 15: a client may keep more statements than a server connection does', async () => {
      const [a, b] = await Promise.all([wire(), wire()]);
      const COUNT = 1_200;
      for (let from = 0; from < COUNT; from += 200) {
        const names = Array.from({ length: 200 }, (_, i) => from + i);
        await Promise.all([a, b].map((c, n) => told(c, ...names.map(i => parse(`s${i}`, `SELECT ${i} + ${n} * 10000`)), SYNC)));
      }
      for (const i of [0, 1, 250, 600, COUNT - 1, 0]) {
        const seen = await Promise.all([a, b].map(c => told(c, bind('', `s${i}`), execute(), SYNC)));
        expect(seen).toEqual([[String(i)], [String(i + 10000)]]);
      }
      await Promise.all([a.end(), b.end()]);
    });
  });

  describe('state on a server connection', () => {
    test('temporary tables of the same name', async () => {
      const clients = await several(HOLDERS);
      await Promise.all(clients.map((c, i) => c.query(`CREATE TEMP TABLE mine AS SELECT ${i} AS owner`)));
      const fresh = await client(on);
      await expect(fresh.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
      for (let round = 0; round < 5; round++) {
        expect(await Promise.all(clients.map(c => answer(c, 'SELECT owner FROM mine')))).toEqual(clients.map((_, i) => i));
      }
      await ended(clients);
      await expect(fresh.query('SELECT * FROM mine')).rejects.toMatchObject({ code: '42P01' });
      await ended([fresh]);
    });

    test('advisory locks: held until unlocked, gone with their client', async () => {
      const [a, b, ...others] = (await several()) as [pg.Client, pg.Client, ...pg.Client[]];
      await a.query('SELECT pg_advisory_lock(11)');
      for (const c of [b, ...others]) expect(await answer(c, 'SELECT pg_try_advisory_lock(11)')).toBe(false);
      expect(await answer(a, 'SELECT pg_try_advisory_lock(11)')).toBe(true);
      await a.query('SELECT pg_advisory_unlock(11)');
      await a.query('SELECT pg_advisory_unlock(11)');
      expect(await answer(b, 'SELECT pg_try_advisory_lock(11)')).toBe(true);
      await b.end();
      await eventually(async () => (await answer(a, 'SELECT pg_try_advisory_lock(11)')) === true, 'the lock is free');
      await ended([a, ...others]);
      await eventually(
        async () => (await sql(on.primary, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0,
        'no lock is left',
      );
    });

    test('cursors with hold, currval, and LISTEN', async () => {
      const [a, b] = (await several(2)) as [pg.Client, pg.Client];
      await a.query('CREATE SEQUENCE shared_numbers');
      await a.query('DECLARE kept CURSOR WITH HOLD FOR SELECT generate_series(1, 3)');
      await a.query("SELECT nextval('shared_numbers')");
      await a.query('LISTEN own');
      const heardByB: unknown[] = [];
      b.on('notification', n => heardByB.push(n));
      const heard = once(a, 'notification');
      for (let round = 0; round < 3; round++) {
        await expect(b.query('FETCH 1 FROM kept')).rejects.toMatchObject({ code: '34000' });
        await expect(b.query("SELECT currval('shared_numbers')")).rejects.toMatchObject({ code: '55000' });
      }
      await b.query("NOTIFY own, 'x'");
      expect((await heard)[0]).toMatchObject({ channel: 'own', payload: 'x' });
      expect((await a.query('FETCH 2 FROM kept')).rows).toHaveLength(2);
      expect(await answer(a, "SELECT currval('shared_numbers')")).toBe('1');
      expect(await answer(b, 'SELECT count(*)::int FROM pg_listening_channels()')).toBe(0);
      expect(heardByB).toEqual([]);
      await ended([a, b]);
    });

    test('trap 8: a portal with a row limit goes on where it was', async () => {
      const clients = await Promise.all(Array.from({ length: HOLDERS }, () => wire()));
      await Promise.all(clients.map(c => told(c, query('BEGIN'))));
      await Promise.all(
        clients.map((c, i) =>
          told(c, parse('', `SELECT generate_series(${i * 100}, ${i * 100 + 3})`), bind('c', ''), execute('c', 1), SYNC),
        ),
      );
      for (let n = 1; n <= 3; n++) {
        expect(await Promise.all(clients.map(c => told(c, execute('c', 1), SYNC)))).toEqual(clients.map((_, i) => [String(i * 100 + n)]));
      }
      await Promise.all(clients.map(c => told(c, query('COMMIT'))));
      await Promise.all(clients.map(c => c.end()));
    });

    test('trap 45: a client that leaves in a transaction leaves nothing of it', async () => {
      const [maker] = await several(1);
      await maker?.query('CREATE TABLE left_behind (i int primary key)');
      for (let round = 0; round < 10; round++) {
        const c = await wire();
        expect(await told(c, query('BEGIN'), query('INSERT INTO left_behind VALUES (1)'), query("SET LOCAL work_mem = '66MB'"))).toEqual(
          [],
        );
        if (round % 2 === 0) c.socket.destroy();
        else await c.end();
      }
      const clients = await several();
      await Promise.all(
        clients.map(async (c, i) => {
          await c.query('INSERT INTO left_behind VALUES ($1)', [i]);
          expect(await answer(c, 'SHOW work_mem')).not.toBe('66MB');
        }),
      );
      expect(await answer(maker as pg.Client, 'SELECT count(*)::int FROM left_behind')).toBe(CLIENTS);
      await ended(clients);
    });

    test('trap 20: a COPY that fails or is given up leaves the connection usable for the next', async () => {
      const [maker] = await several(1);
      await maker?.query('CREATE TABLE copied (i int)');
      const data = (text: string): Buffer => frame(0x64, Buffer.from(text));
      const DONE = frame(0x63, Buffer.alloc(0));
      for (let round = 0; round < 5; round++) {
        const [bad, gone] = await Promise.all([wire(), wire()]);
        bad.send(query('COPY copied FROM STDIN'));
        await bad.until('G');
        bad.send(data('no number\n'), data('1\n'), DONE);
        expect((await bad.untilReady()).map(m => m.type).join('')).toBe('EZ');
        expect(await told(bad, query('SELECT 1'))).toEqual(['1']);
        gone.send(query('COPY copied FROM STDIN'));
        await gone.until('G');
        gone.send(data('2\n'));
        gone.socket.destroy();
        await bad.end();
      }
      const clients = await several();
      expect(await Promise.all(clients.map(c => answer(c, 'SELECT count(*)::int FROM copied')))).toEqual(clients.map(() => 0));
      await ended(clients);
    });

    test('trap 43: a connection that its server has closed is not handed out', async () => {
      const clients = await several();
      await Promise.all(clients.map(c => c.query('SELECT 1')));
      for (const server of [on.primary, ...on.replicas]) {
        await sql(
          server,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
      }
      expect(await Promise.all(clients.map(c => answer(c, 'SELECT 1')))).toEqual(clients.map(() => 1));
      await Promise.all(clients.slice(0, HOLDERS).map(c => c.query('CREATE TEMP TABLE again (i int)')));
      await ended(clients);
    });
  });

  describe('cancel', () => {
    async function cancel(c: WireClient): Promise<void> {
      if (c.key === null) throw new Error('no key');
      const socket = connect(on.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(cancelRequest(c.key));
      socket.resume();
      await once(socket, 'close');
    }

    test('trap 21: a late cancel never hits the statement of another client', async () => {
      const [victims, cancellers] = [await Promise.all([wire(), wire(), wire()]), await Promise.all([wire(), wire()])];
      for (let round = 0; round < 20; round++) {
        const late = cancellers.map(async c => {
          c.send(query('SELECT 1'));
          const cancelled = cancel(c);
          const codes = (await c.untilReady()).filter(m => m.type === 'E').map(m => readErrorFields(m.frame).code);
          expect(codes.filter(code => code !== '57014')).toEqual([]);
          await cancelled;
        });
        const seen = await Promise.all(victims.map(c => told(c, query('SELECT pg_sleep(0.01)'), query('SELECT 7'))));
        expect(seen).toEqual(victims.map(() => ['', '7']));
        await Promise.all(late);
      }
      await Promise.all([...victims, ...cancellers].map(c => c.end()));
    });

    test('trap 23: a storm of cancels, right and wrong, costs nobody else anything', async () => {
      const [target, bystander] = await Promise.all([wire(), wire()]);
      target.send(query('SELECT pg_sleep(60)'));
      await eventually(
        async () =>
          (
            await Promise.all([on.primary, ...on.replicas].map(s => sql(s, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")))
          ).some(rows => rows.length > 0),
        'it sleeps',
      );
      const wrong = { key: { processId: target.key?.processId ?? 0, secret: Buffer.alloc(4, 9) } } as WireClient;
      await Promise.all(Array.from({ length: 100 }, (_, i) => cancel(i % 2 === 0 ? wrong : target)));
      expect((await target.untilReady()).filter(m => m.type === 'E').map(m => readErrorFields(m.frame).code)).toEqual(['57014']);
      expect(await told(bystander, query('SELECT 8'))).toEqual(['8']);
      expect(await told(target, query('SELECT 9'))).toEqual(['9']);
      await Promise.all([target.end(), bystander.end()]);
    });
  });

  describe('streams', () => {
    test('trap 17: a client that only writes, then only reads, gets every answer', async () => {
      const c = await wire();
      const COUNT = 400;
      const payload = 'x'.repeat(50_000);
      c.socket.pause();
      for (let i = 0; i < COUNT; i++) c.send(parse('', 'SELECT $1::text'), bind('', '', [`${i}${payload}`]), execute(), SYNC);
      // All of it is more than any buffer on the way: nothing moves until somebody reads.
      await eventually(
        async () =>
          (
            await Promise.all(
              [on.primary, ...on.replicas].map(s => sql(s, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite'")),
            )
          ).some(rows => rows.length > 0) || c.socket.writableLength > 0,
        'the way is full',
      );
      c.socket.resume();
      const rows = (await c.untilReady(COUNT)).filter(m => m.type === 'D').map(m => backend.readDataRow(m.frame)[0]);
      expect(rows.length).toBe(COUNT);
      expect(rows.every((row, i) => row?.startsWith(`${i}x`))).toBe(true);
      await c.end();
    });

    test('trap 16: a Bind of 65,535 parameters, and messages that come byte by byte', async () => {
      const c = await wire();
      const COUNT = 65_535;
      const list = Array.from({ length: COUNT }, (_, i) => `$${i + 1}::int`).join(',');
      expect(
        await told(
          c,
          parse('', `SELECT cardinality(array[${list}])`),
          bind(
            '',
            '',
            Array.from({ length: COUNT }, () => '1'),
          ),
          execute(),
          SYNC,
        ),
      ).toEqual([String(COUNT)]);
      const slow = Buffer.concat([parse('', 'SELECT $1::text'), bind('', '', ['piece by piece']), execute(), SYNC]);
      for (const byte of slow) {
        c.socket.write(Buffer.of(byte));
        await new Promise(resolve => setImmediate(resolve));
      }
      const row = (await c.untilReady()).find(m => m.type === 'D');
      expect(row && backend.readDataRow(row.frame)).toEqual(['piece by piece']);
      await c.end();
    });

    test('trap 19: one row of 100 MB passes through in pieces', async () => {
      const c = await wire();
      const BYTES = 100_000_000;
      c.send(query(`SELECT repeat('x', ${BYTES})`));
      const rows = (await c.untilReady()).filter(m => m.type === 'D');
      expect(rows.map(m => m.frame.length)).toEqual([BYTES + 11]);
      await c.end();
    });
  });

  describe('logins', () => {
    test("trap 39: one that fails is nobody else's failure, and its reason is the server's own", async () => {
      for (const text of [
        "CREATE ROLE reader LOGIN PASSWORD 'pw'",
        'CREATE DATABASE closed',
        'REVOKE CONNECT ON DATABASE closed FROM PUBLIC',
      ]) {
        await sql(on.primary, text);
      }
      const attempts = await Promise.allSettled([
        client(on, { user: 'reader', password: 'wrong' }),
        client(on, { user: 'reader', password: 'pw', database: 'closed' }),
        client(on, { user: 'reader', password: 'pw', database: 'nowhere' }),
        client(on, { user: 'reader', password: 'pw' }),
        client(on, { database: 'closed' }),
      ]);
      expect(attempts.map(a => (a.status === 'rejected' ? (a.reason as { code: string }).code : 'in'))).toEqual([
        '28P01',
        '42501',
        '3D000',
        'in',
        'in',
      ]);
      expect(await answer(await client(on, { user: 'reader', password: 'pw' }), 'SELECT current_user::text')).toBe('reader');
    });

    test('trap 16: a startup message that comes byte by byte, and one of nearly the greatest size', async () => {
      const c = await wire({ options: `-c app.long=${'x'.repeat(9_000)}` });
      expect(await told(c, query("SELECT length(current_setting('app.long'))"))).toEqual(['9000']);
      await c.end();
      await expect(wire({ options: `-c app.long=${'x'.repeat(11_000)}` })).rejects.toThrow(/startup packet/);
    });
  });
});

function frame(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([header, body]);
}
