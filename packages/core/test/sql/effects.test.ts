import { beforeAll, describe, expect, it } from 'vitest';
import {
  mayBeginOnReplica,
  NO_MODES,
  type RouterCommand,
  SqlClassifier,
  type SqlParser,
  type Statement,
  type Unit,
} from '../../src/sql/index.ts';
import { loadParser } from './parser.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadParser();
});

const unit = (sql: string): Unit => new SqlClassifier({ parser }).classifyText(sql).unit;
const modes = (part: object): object => ({ ...NO_MODES, ...part });

describe('effects on the session', () => {
  it.each([
    ['set search_path to a, "B"', { kind: 'set', name: 'search_path', value: "'a', 'B'", scope: 'session' }],
    ["set application_name = 'it''s'", { kind: 'set', name: 'application_name', value: "'it''s'", scope: 'session' }],
    ['SET LOCAL Work_Mem = 64', { kind: 'set', name: 'work_mem', value: "'64'", scope: 'transaction' }],
    ['set x.y = -1.5', { kind: 'set', name: 'x.y', value: "'-1.5'", scope: 'session' }],
    ['set search_path = default', { kind: 'set', name: 'search_path', value: null, scope: 'session' }],
    ['set time zone local', { kind: 'set', name: 'timezone', value: null, scope: 'session' }],
    ["set time zone interval '2 hours'", { kind: 'set', name: 'timezone', value: "'interval ''2 hours'''", scope: 'session' }],
    ['set role admin', { kind: 'set', name: 'role', value: "'admin'", scope: 'session' }],
    ['set role none', { kind: 'set', name: 'role', value: "'none'", scope: 'session' }],
    ['reset Search_Path', { kind: 'reset', name: 'search_path' }],
    ['reset all', { kind: 'reset-all' }],
    [
      'set transaction read only, isolation level repeatable read',
      { kind: 'set-transaction', modes: modes({ readOnly: true, isolation: 'repeatable read' }) },
    ],
    ['set transaction_read_only to off', { kind: 'set-transaction', modes: modes({ readOnly: false }) }],
    ["set transaction_isolation = 'SERIALIZABLE'", { kind: 'set-transaction', modes: modes({ isolation: 'serializable' }) }],
    ['set transaction not deferrable', { kind: 'set-transaction', modes: modes({ deferrable: false }) }],
    ['set transaction snapshot $$x$$', { kind: 'import-snapshot' }],
    ['set session characteristics as transaction read write', { kind: 'set-characteristics', modes: modes({ readOnly: false }) }],
    ["select set_config('A.b', 'x', false)", { kind: 'set-config', name: 'a.b', scope: 'session' }],
    ["select set_config('a.b', 'x', true)", { kind: 'set-config', name: 'a.b', scope: 'transaction' }],
    ['select set_config($1, $2, $3)', { kind: 'set-config', name: null, scope: 'unknown' }],
    ["select set_config(setting_name => 'a', new_value => 'b', is_local => true)", { kind: 'set-config', name: null, scope: 'unknown' }],
    ["insert into t select set_config('a', 'b', true)", { kind: 'set-config', name: 'a', scope: 'transaction' }],
    ['listen "Chan"', { kind: 'listen', channel: 'Chan' }],
    ['unlisten chan', { kind: 'unlisten', channel: 'chan' }],
    ['unlisten *', { kind: 'unlisten', channel: null }],
    ['create temp table t (a int)', { kind: 'temporary-object' }],
    ['create temp table t as select 1', { kind: 'temporary-object' }],
    ['select 1 into temporary t', { kind: 'temporary-object' }],
    ['select pg_advisory_lock(1)', { kind: 'advisory-lock', scope: 'session' }],
    ['select pg_try_advisory_xact_lock_shared(1)', { kind: 'advisory-lock', scope: 'transaction' }],
    ['select pg_advisory_unlock(1)', { kind: 'advisory-unlock', all: false }],
    ['select pg_advisory_unlock_all()', { kind: 'advisory-unlock', all: true }],
    ['prepare p as select 1', { kind: 'prepare', name: 'p' }],
    ['execute p(1)', { kind: 'execute', name: 'p' }],
    ['explain analyze execute p', { kind: 'execute', name: 'p' }],
    ['deallocate p', { kind: 'deallocate', name: 'p' }],
    ['deallocate all', { kind: 'deallocate', name: null }],
    ['declare c cursor for select 1', { kind: 'declare-cursor', name: 'c', hold: false }],
    ['declare c insensitive scroll cursor with hold for select 1', { kind: 'declare-cursor', name: 'c', hold: true }],
    ['fetch backward 5 from c', { kind: 'fetch-cursor', name: 'c' }],
    ['close c', { kind: 'close-cursor', name: 'c' }],
    ['close all', { kind: 'close-cursor', name: null }],
    ['discard all', { kind: 'discard', target: 'all' }],
    ['discard plans', { kind: 'discard', target: 'plans' }],
    ['discard sequences', { kind: 'discard', target: 'sequences' }],
    ['discard temporary', { kind: 'discard', target: 'temp' }],
    ["load 'x'", { kind: 'load', library: 'x' }],
    ["select currval('s')", { kind: 'read-sequence-state' }],
    ['select setseed(0.1)', { kind: 'random-seed' }],
    ['select pg_export_snapshot()', { kind: 'export-snapshot' }],
  ])('%s', (sql, effect) => {
    expect(unit(sql).effects).toEqual([effect]);
  });

  it.each([
    'select 1',
    'update t set a = 1',
    'begin',
    'create table t (a int)',
    "explain select set_config('a', 'b', false)",
    'select my.set_config(1)',
  ])('none: %s', sql => {
    expect(unit(sql).effects).toEqual([]);
  });

  it('keeps the order of the text', () => {
    expect(unit('set a.b = 1; listen c; select pg_advisory_lock(1)').effects.map(effect => effect.kind)).toEqual([
      'set',
      'listen',
      'advisory-lock',
    ]);
  });
});

describe('transaction control', () => {
  const control = (sql: string): unknown => {
    const [statement] = unit(sql).statements;
    return (statement as Statement & { kind: 'transaction' }).control;
  };

  it.each([
    ['begin', { kind: 'begin', modes: NO_MODES }],
    ['start transaction read only', { kind: 'begin', modes: modes({ readOnly: true }) }],
    ['begin read only read write', { kind: 'begin', modes: modes({ readOnly: false }) }],
    [
      'begin isolation level serializable, read only, deferrable',
      { kind: 'begin', modes: { isolation: 'serializable', readOnly: true, deferrable: true } },
    ],
    ['end and chain', { kind: 'commit', chain: true }],
    ['abort', { kind: 'rollback', chain: false }],
    ['savepoint "A"', { kind: 'savepoint', name: 'A' }],
    ['release a', { kind: 'release', name: 'a' }],
    ['rollback transaction to a', { kind: 'rollback-to', name: 'a' }],
    ["prepare transaction 'x'", { kind: 'prepare-transaction' }],
    ["commit prepared 'x'", { kind: 'commit-prepared' }],
    ["rollback prepared 'x'", { kind: 'rollback-prepared' }],
  ])('%s', (sql, expected) => {
    expect(control(sql)).toEqual(expected);
  });

  it('lets only a read-only transaction begin on a replica, and no serializable one', () => {
    const begin = (sql: string, defaults = NO_MODES): boolean =>
      mayBeginOnReplica((control(sql) as { modes: typeof NO_MODES }).modes, defaults);
    expect(begin('begin')).toBe(false);
    expect(begin('begin read only')).toBe(true);
    expect(begin('begin isolation level repeatable read read only')).toBe(true);
    expect(begin('begin isolation level serializable read only deferrable')).toBe(false);
    expect(begin('begin', { ...NO_MODES, readOnly: true })).toBe(true);
    expect(begin('begin read write', { ...NO_MODES, readOnly: true })).toBe(false);
    expect(begin('begin read only', { ...NO_MODES, isolation: 'serializable' })).toBe(false);
  });
});

describe('what the router answers by itself', () => {
  const command = (sql: string): RouterCommand => (unit(sql).statements[0] as Statement & { kind: 'router' }).command;

  it.each([
    ["set understudy.route = 'PRIMARY'", { kind: 'set', setting: { name: 'route', value: 'primary' }, scope: 'session' }],
    [
      'set local understudy.consistency to session',
      { kind: 'set', setting: { name: 'consistency', value: 'session' }, scope: 'transaction' },
    ],
    ['set understudy.max_lag_ms = 250', { kind: 'set', setting: { name: 'max_lag_ms', value: 250 }, scope: 'session' }],
    ["set understudy.token = 'u1:7:1:0/1'", { kind: 'set', setting: { name: 'token', value: 'u1:7:1:0/1' }, scope: 'session' }],
    ['set understudy.route to default', { kind: 'set', setting: { name: 'route', value: null }, scope: 'session' }],
    ['reset understudy.consistency', { kind: 'set', setting: { name: 'consistency', value: null }, scope: 'session' }],
    ['show understudy.token', { kind: 'show', variable: 'token' }],
    ['show understudy.last_route', { kind: 'show', variable: 'last_route' }],
    ['show understudy.max_lag_ms', { kind: 'show', variable: 'max_lag_ms' }],
    ['show understudy.stats', { kind: 'show-table', table: 'stats' }],
  ])('%s', (sql, expected) => {
    expect(command(sql)).toEqual(expected);
  });

  it.each([
    ["set understudy.route = 'nearest'", '22023'],
    ['set understudy.route = replica, auto', '22023'],
    ['set understudy.max_lag_ms = -1', '22023'],
    ['set understudy.max_lag_ms = 1.5', '22023'],
    ["set understudy.token = ''", '22023'],
    [`set understudy.token = '${'x'.repeat(300)}'`, '22023'],
    ['set understudy.last_route = 1', '22023'],
    ['set understudy.rout = replica', '42704'],
    ['reset understudy.rout', '42704'],
    ['show understudy.rout', '42704'],
  ])('refuses %s', (sql, sqlState) => {
    expect(command(sql)).toMatchObject({ kind: 'invalid', sqlState });
  });
});

describe('hints', () => {
  it.each([
    ['/* understudy:primary */ select 1', { route: 'primary', consistency: null }],
    ['/* understudy:consistency=Eventual understudy:replica */ select 1', { route: 'replica', consistency: 'eventual' }],
    ['-- understudy:consistency=strong\n-- understudy:auto\nselect 1', { route: 'auto', consistency: 'strong' }],
    ['/* understudy:primary */ /* understudy:replica */ select 1', { route: 'replica', consistency: null }],
    ['/* understudy:nonsense understudy:consistency=never */ select 1', { route: null, consistency: null }],
    ['/* a comment that says understudy:primary */ select 1', { route: null, consistency: null }],
    ['select 1 /* understudy:primary */', { route: null, consistency: null }],
  ])('%s', (sql, hints) => {
    expect(unit(sql).hints).toEqual(hints);
  });
});
