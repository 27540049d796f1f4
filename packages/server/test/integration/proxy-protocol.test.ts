import { frontend } from '@understudy/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { shape, WireClient } from '../support/wire-client.ts';
import { CREDENTIALS } from './postgres-fixture.ts';
import { openProxyBench, type ProxyBench } from './proxy-fixture.ts';

const { bind, close, copyFail, describe: ask, execute, FLUSH, parse, query, SYNC } = frontend;
const copyData = (text: string): Buffer => {
  const body = Buffer.from(text);
  const frame = Buffer.alloc(5 + body.length);
  frame[0] = 0x64;
  frame.writeInt32BE(4 + body.length, 1);
  body.copy(frame, 5);
  return frame;
};
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const statement = (name: string) => ({ kind: 'statement', name }) as const;
const portal = (name: string) => ({ kind: 'portal', name }) as const;

/** One exchange: what is sent at once, and how many ReadyForQuery, or which message, ends the answer. */
interface Step {
  readonly send: readonly Buffer[];
  readonly until: number | string;
}
const step = (until: number | string, ...send: readonly Buffer[]): Step => ({ send, until });

/** The traps of the protocol, as bytes. The proxy must answer each as PostgreSQL does. */
const TRAPS: Readonly<Record<string, readonly Step[]>> = {
  'trap 1: several Syncs in one packet': [
    step(3, parse('', 'select 1'), bind('', ''), execute(), SYNC, SYNC, parse('', 'select 2'), bind('', ''), execute(), SYNC),
  ],
  'trap 1: a pipeline of reads and writes in one packet': [
    step(
      4,
      ...['create temp table p (i int)', 'insert into p values (1)', 'select i from p', 'drop table p'].flatMap(sql => [
        parse('', sql),
        bind('', ''),
        execute(),
        SYNC,
      ]),
    ),
  ],
  'trap 1: several simple queries in one packet': [step(3, query('select 1'), query('select 2'), query('select 3'))],
  'trap 4: Flush answers Describe before the Sync': [
    step('T', parse('', 'select 1 as one'), ask(statement('')), FLUSH),
    step(1, bind('', ''), execute(), SYNC),
  ],
  'trap 4: Flush after Execute': [step('C', parse('', 'select 1'), bind('', ''), execute(), FLUSH), step(1, SYNC)],
  'trap 3: a unit that begins as a read and turns into a write': [
    step('T', parse('r', 'select 1'), ask(statement('r')), FLUSH),
    step(1, bind('', 'r'), execute(), parse('', 'create temp table turned (i int)'), bind('', ''), execute(), SYNC),
    step(1, query('drop table turned')),
    step(1, close(statement('r')), SYNC),
  ],
  'trap 6: an error skips to the next Sync': [
    step(
      2,
      parse('', 'select 1/0'),
      bind('', ''),
      execute(),
      parse('', 'select 1'),
      bind('', ''),
      execute(),
      SYNC,
      parse('', 'select 7'),
      bind('', ''),
      execute(),
      SYNC,
    ),
  ],
  'trap 7: a failed Parse, then Close of it': [step(2, parse('bad', 'selec 1'), SYNC, close(statement('bad')), SYNC)],
  'Bind to a statement that is not there': [step(1, bind('', 'nothing'), execute(), SYNC)],
  'trap 9: Describe of a statement that is not there': [step(1, ask(statement('nothing')), SYNC)],
  'Bind to a name of the proxy': [step(1, bind('', 'understudy_1'), execute(), SYNC)],
  'the same name parsed twice': [
    step(1, parse('twice', 'select 1'), SYNC),
    step(1, parse('twice', 'select 2'), SYNC),
    step(1, close(statement('twice')), SYNC),
  ],
  'a name parsed again after Close, in one pipeline': [
    step(3, parse('re', 'select 1'), SYNC, close(statement('re')), parse('re', 'select 2'), SYNC, bind('', 're'), execute(), SYNC),
    step(1, close(statement('re')), SYNC),
  ],
  'trap 8: Execute with a row limit, in a transaction': [
    step(1, query('begin')),
    step(1, parse('', 'select generate_series(1, 5)'), bind('c', ''), execute('c', 2), SYNC),
    step(1, execute('c', 2), SYNC),
    step(1, execute('c', 2), SYNC),
    step(1, close(portal('c')), SYNC),
    step(1, query('commit')),
  ],
  'trap 8: Execute with a row limit, twice in one unit': [
    step(1, parse('', 'select generate_series(1, 5)'), bind('', ''), execute('', 2), execute('', 2), execute('', 0), SYNC),
  ],
  'a portal ends with its implicit transaction': [step(2, parse('', 'select 1'), bind('p', ''), SYNC, execute('p'), SYNC)],
  'Describe of a portal alone': [step(1, parse('', 'select 1 as a, 2 as b'), bind('p', ''), ask(portal('p')), SYNC)],
  'trap 10: the unnamed statement lives from one unit to the next': [
    step(1, parse('', 'select $1::int', [23]), ask(statement('')), SYNC),
    step(1, bind('', '', ['5']), execute(), SYNC),
    step(1, bind('', '', ['6']), execute(), SYNC),
  ],
  'a simple Query drops the unnamed statement': [
    step(1, parse('', 'select 1'), SYNC),
    step(1, query('select 2')),
    step(1, bind('', ''), execute(), SYNC),
  ],
  'trap 30: several statements in one text are one transaction': [
    step(1, query('create temp table m (i int primary key)')),
    step(1, query('insert into m values (1); select count(*) from m; insert into m values (1)')),
    step(1, query('select count(*) from m')),
    step(1, query('begin; insert into m values (5); commit; select i from m')),
    step(1, query('drop table m')),
  ],
  'an empty query': [step(1, query('')), step(1, query(';')), step(1, parse('', ''), bind('', ''), execute(), SYNC)],
  'trap 26: a comment before SET': [
    step(1, query("/* hello */ set application_name = 'x'")),
    step(1, query('show application_name')),
    step(1, query('reset application_name')),
  ],
  'errors in a transaction': [
    step(1, query('begin')),
    step(1, query('select 1/0')),
    step(1, query('select 1')),
    step(1, parse('', 'select 1'), bind('', ''), execute(), SYNC),
    step(1, query('rollback')),
  ],
  savepoints: [
    step(1, query('begin')),
    step(1, query('savepoint a')),
    step(1, query('select 1/0')),
    step(1, query('rollback to a')),
    step(1, query('select 1')),
    step(1, query('commit')),
  ],
  'COPY in with simple Query': [
    step(1, query('create temp table c (i int, t text)')),
    step('G', query('copy c from stdin')),
    step(1, copyData('1\tone\n'), copyData('2\ttwo\n'), COPY_DONE),
    step(1, query('select * from c order by i')),
  ],
  'COPY in with simple Query, data sent ahead': [
    step(1, query('create temp table c2 (i int)')),
    step(1, query('copy c2 from stdin'), copyData('1\n'), COPY_DONE),
    step(1, query('select * from c2')),
  ],
  'trap 20: COPY in that the client gives up': [
    step(1, query('create temp table c3 (i int)')),
    step('G', query('copy c3 from stdin')),
    step(1, copyData('1\n'), copyFail('enough')),
  ],
  'trap 20: COPY in with bad data, its end still on the way': [
    step(1, query('create temp table c4 (i int)')),
    step('G', query('copy c4 from stdin')),
    step(1, copyData('no number\n'), copyData('2\n'), COPY_DONE),
    step(1, query('select count(*) from c4')),
  ],
  'trap 5: COPY in, Flush and Sync among the data': [
    step(1, query('create temp table c5 (i int)')),
    step('G', query('copy c5 from stdin')),
    step(1, copyData('1\n'), FLUSH, SYNC, copyData('2\n'), COPY_DONE),
    step(1, query('select count(*) from c5')),
  ],
  'COPY in with the extended protocol': [
    step(1, query('create temp table c6 (i int)')),
    step('G', parse('', 'copy c6 from stdin'), bind('', ''), ask(portal('')), execute(), SYNC),
    step(1, copyData('1\n'), copyData('2\n'), COPY_DONE, SYNC),
    step(1, query('select count(*) from c6')),
  ],
  'trap 20: COPY in with the extended protocol and bad data': [
    step(1, query('create temp table c7 (i int)')),
    step('G', parse('', 'copy c7 from stdin'), bind('', ''), execute(), SYNC),
    step(1, copyData('x\n'), COPY_DONE, SYNC),
    step(1, query('select count(*) from c7')),
  ],
  'COPY out': [
    step(1, query('copy (select generate_series(1, 3)) to stdout')),
    step(1, parse('', 'copy (values (1)) to stdout'), bind('', ''), execute(), SYNC),
  ],
  'trap 13: SQL-level PREPARE, EXECUTE, DEALLOCATE': [
    step(1, query('prepare q (int) as select $1 + 1')),
    step(1, query('execute q (1)')),
    step(1, query('deallocate q')),
    step(1, query('execute q (1)')),
    step(1, query('prepare broken as selec')),
    step(1, query('execute broken')),
  ],
  'trap 13: DEALLOCATE of a statement prepared over the protocol': [
    step(1, parse('d1', 'select 1'), SYNC),
    step(1, query('deallocate d1')),
    step(1, bind('', 'd1'), execute(), SYNC),
    step(1, parse('d1', 'select 2'), bind('', 'd1'), execute(), SYNC),
    step(1, parse('', 'deallocate d1'), bind('', ''), execute(), SYNC),
    step(1, query('deallocate d1')),
  ],
  'trap 12: DISCARD ALL forgets statements': [
    step(1, parse('gone', 'select 1'), SYNC),
    step(1, query('discard all')),
    step(1, bind('', 'gone'), execute(), SYNC),
  ],
  'trap 12: DEALLOCATE ALL in the middle of a pipeline': [
    step(
      3,
      parse('k', 'select 1'),
      SYNC,
      parse('', 'deallocate all'),
      bind('', ''),
      execute(),
      SYNC,
      parse('k', 'select 3'),
      bind('', 'k'),
      execute(),
      SYNC,
    ),
    step(1, close(statement('k')), SYNC),
  ],
  'a cursor with hold': [
    step(1, query('declare h cursor with hold for select generate_series(1, 3)')),
    step(1, query('fetch 2 from h')),
    step(1, query('fetch 2 from h')),
    step(1, query('close h')),
  ],
  'NOTIFY to oneself': [step(1, query('listen here')), step(1, query("notify here, 'hello'")), step(1, query('unlisten *'))],
  'temporary tables hide others': [
    step(1, query('create temp table pg_class_like (i int)')),
    step(1, query('insert into pg_class_like values (3)')),
    step(1, query('select * from pg_class_like')),
    step(1, query('drop table pg_class_like')),
  ],
  'trap 16: a large Bind': [step(1, parse('', 'select length($1)'), bind('', '', ['x'.repeat(3_000_000)]), execute(), SYNC)],
  'trap 3: extended messages before a Query, without Sync': [step(1, parse('', 'select 1'), bind('', ''), execute(), query('select 2'))],
  'trap 2: a Describe of a portal waits for Flush, then Sync is held back': [
    step('T', parse('', 'select 1 as one'), bind('', ''), ask(portal('')), FLUSH),
    step('C', execute(), FLUSH),
    step(1, SYNC),
  ],
  'trap 3: no Sync is added within a group: a later error undoes its beginning': [
    step(1, query('create temp table group3 (i int primary key)')),
    step('C', parse('', 'insert into group3 values (1)'), bind('', ''), execute(), FLUSH),
    step(1, parse('', 'insert into group3 values (1)'), bind('', ''), execute(), SYNC),
    step(1, query('select count(*) from group3')),
  ],
  'trap 8: closing a portal keeps its statement': [
    step(1, query('begin')),
    step(1, parse('kept', 'select generate_series(1, 3)'), bind('c', 'kept'), execute('c', 1), SYNC),
    step(1, close(portal('c')), SYNC),
    step(1, bind('c', 'kept'), execute('c', 0), SYNC),
    step(1, query('commit')),
    step(1, close(statement('kept')), SYNC),
  ],
  'trap 25: SET in a transaction that rolls back, SET LOCAL, quoted and empty values': [
    step(1, query("set application_name = 'first'")),
    step(1, query('begin')),
    step(1, query("set application_name = 'second'")),
    step(1, query("set local work_mem = '3MB'")),
    step(1, query('rollback')),
    step(1, query('show application_name')),
    step(1, query('show work_mem')),
    step(1, query("set application_name to ''")),
    step(1, query('show application_name')),
    step(1, query('set search_path to "a b", public')),
    step(1, query('show search_path')),
    step(1, query("select set_config('my.odd', 'it''s \\ odd', false)")),
    step(1, query("select current_setting('my.odd')")),
    step(1, query('begin')),
    step(1, query('set transaction isolation level serializable')),
    step(1, query('commit')),
    step(1, query('show default_transaction_isolation')),
    step(1, query('reset all')),
    step(1, query('show application_name')),
  ],
  'trap 28: DISCARD ALL resets what was set': [
    step(1, query("set work_mem = '5MB'")),
    step(1, query('set search_path to nowhere')),
    step(1, query('discard all')),
    step(1, query('show work_mem')),
    step(1, query('show search_path')),
  ],
  'trap 29: BEGIN, SHOW and SET transaction_read_only mean a server that can write': [
    step(1, query('show transaction_read_only')),
    step(1, query('begin')),
    step(1, query('show transaction_read_only')),
    step(1, query('set transaction_read_only = 1')),
    step(1, query('create temp table never (i int)')),
    step(1, query('rollback')),
    step(1, query('begin read only')),
    step(1, query('select 1')),
    step(1, query('commit')),
    step(1, query('select pg_is_in_recovery() from (values (pg_backend_pid())) v')),
    step(1, query('start transaction read write')),
    step(1, query('create temp table fine (i int)')),
    step(1, query('commit')),
    step(1, query('drop table fine')),
  ],
  'trap 31: BEGIN with the extended protocol, described': [
    step(1, parse('', 'begin'), ask(statement('')), SYNC),
    step(1, bind('', ''), ask(portal('')), execute(), SYNC),
    step(1, parse('', 'select 1'), bind('', ''), execute(), SYNC),
    step(2, parse('', 'commit'), bind('', ''), execute(), SYNC, parse('', 'begin'), bind('', ''), execute(), SYNC),
    step(1, query('rollback')),
  ],
  'trap 32: the options of BEGIN hold': [
    step(1, query('begin isolation level serializable read only deferrable')),
    step(1, query('show transaction_isolation')),
    step(1, query('show transaction_read_only')),
    step(1, query('show transaction_deferrable')),
    step(1, query('commit and chain')),
    step(1, query('show transaction_isolation')),
    step(1, query('commit')),
    step(1, query('set session characteristics as transaction isolation level repeatable read')),
    step(1, query('begin')),
    step(1, query('show transaction_isolation')),
    step(1, query('commit')),
    step(1, query('reset all')),
  ],
  'trap 34: set_config is not a read': [
    step(1, query("select set_config('app.tenant', '7', false)")),
    step(1, query("select current_setting('app.tenant')")),
    step(1, parse('', "select set_config('app.tenant', $1, false)"), bind('', '', ['8']), execute(), SYNC),
    step(1, query("select current_setting('app.tenant')")),
    step(1, query('begin')),
    step(1, query("select set_config('app.tenant', '9', true)")),
    step(1, query("select current_setting('app.tenant')")),
    step(1, query('commit')),
    step(1, query("select current_setting('app.tenant')")),
  ],
  'notices come in order': [step(1, query("do $$ begin raise notice 'one'; raise notice 'two'; end $$"))],
};

describe('the traps of the protocol, answered as PostgreSQL answers them', () => {
  let on: ProxyBench;

  beforeAll(async () => {
    on = await openProxyBench(1);
  });

  afterAll(() => on?.close());

  async function answers(port: number, steps: readonly Step[]): Promise<string[]> {
    const client = await WireClient.login(port, 'postgres', CREDENTIALS.superuser);
    const seen: string[] = [];
    try {
      for (const { send, until } of steps) {
        client.send(...send);
        const received = await (typeof until === 'number' ? client.untilReady(until) : client.until(until));
        seen.push(...received.map(shape));
      }
      expect(client.pending).toBe('');
    } catch (error) {
      seen.push(`${(error as Error).message}, after it: ${client.pending}`);
    } finally {
      await client.end();
    }
    return seen;
  }

  test.each(Object.entries(TRAPS))('%s', async (_name, steps) => {
    const direct = await answers(on.primary.spec.settings.port, steps);
    const proxied = await answers(on.port, steps);
    // A notification names the process that sent it.
    const still = (lines: readonly string[]): string[] => lines.map(line => (line.startsWith('A ') ? `A ${line.slice(6)}` : line));
    expect(still(proxied)).toEqual(still(direct));
  });
});
