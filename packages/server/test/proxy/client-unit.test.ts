import { describe, expect, it } from 'vitest';
import { endsTransaction, mayCommit, mayWrite, noteLoss, statusAfter } from '../../src/proxy/client-unit.ts';
import { unitOf } from './units.ts';

describe('what a unit demands', () => {
  it.each([
    [['select 1'], 'replica'],
    [['select 1', 'select 2'], 'replica'],
    [['select 1', 'insert into t values (1)'], 'primary'],
    [['select 1', "set work_mem = '1MB'"], 'primary'],
    [['set work_mem = 1'], 'session'],
    [['begin'], 'session'],
    [['show understudy.token'], 'router'],
    [['select nextval(1)'], 'primary'],
    [['select pg_sleep(1)', 'begin'], 'primary'],
  ] as const)('%j: %s', (texts, demand) => {
    expect(unitOf(...texts).demand).toBe(demand);
  });
});

describe('what a unit may change', () => {
  it.each([
    ['select 1', false],
    ['insert into t values (1)', true],
    ['begin', false],
    ["set work_mem = '1MB'", false],
    ['call p()', true],
    ['select unheard_of(1)', true],
    ['create table t (i int)', true],
    ['copy t from stdin', true],
    ['copy t to stdout', false],
    ['no sql at all', true],
    ['show work_mem', false],
    ["commit prepared 'x'", true],
    ['execute prepared_before', true],
    ['copy (delete from t returning i) to stdout', true],
    ['explain analyze insert into t values (1)', true],
    ['select * from t for update', true],
  ])('%s: %s', (text, writes) => {
    expect(mayWrite(unitOf(text))).toBe(writes);
  });

  it.each([
    ['insert into t values (1)', 'I', false, true],
    ['insert into t values (1)', 'T', true, false],
    ['select 1', 'I', false, false],
    ['commit', 'T', true, true],
    ['commit', 'T', false, false],
    ['rollback', 'T', true, false],
    ['begin; insert into t values (1); commit', 'I', false, true],
    ['begin; insert into t values (1)', 'I', false, false],
    ['begin; insert into t values (1); rollback', 'I', false, false],
    ["prepare transaction 'x'", 'T', true, true],
    ["commit prepared 'x'", 'I', false, true],
    ['do $$ begin end $$', 'I', false, true],
  ] as const)('%s in status %s, wrote before: %s: may commit: %s', (text, status, wrote, expected) => {
    expect(mayCommit(unitOf(text), status, wrote)).toBe(expected);
  });

  it.each([
    ['begin', 'I', 'T'],
    ['commit', 'T', 'I'],
    ['commit and chain', 'T', 'T'],
    ['begin; commit; begin', 'I', 'T'],
    ['select 1', 'T', 'T'],
    ['rollback', 'E', 'I'],
    ['rollback to a', 'E', 'E'],
  ] as const)('%s takes status %s to %s', (text, before, after) => {
    expect(statusAfter(unitOf(text), before)).toBe(after);
  });

  it('only a lone COMMIT or ROLLBACK ends a transaction that is lost', () => {
    expect(endsTransaction(unitOf('commit'))).toBe('commit');
    expect(endsTransaction(unitOf('ABORT'))).toBe('rollback');
    expect(endsTransaction(unitOf('commit; select 1'))).toBeNull();
    expect(endsTransaction(unitOf('select 1'))).toBeNull();
  });
});

describe('losses of a unit', () => {
  /** Sent and lost, once for each. */
  function attempts(...losses: readonly (readonly [member: string, atMs: number])[]): number {
    const unit = unitOf('select 1');
    for (const [member, atMs] of losses) {
      unit.attempts += 1;
      noteLoss(unit, member, atMs);
    }
    return unit.attempts;
  }

  it('count once for each death of a server, however many of its connections they were met on', () => {
    expect(attempts(['n1', 0])).toBe(1);
    expect(attempts(['n1', 0], ['n1', 40], ['n1', 90], ['n2', 95], ['n2', 130])).toBe(2);
  });

  it('count each when servers die one after the other, or one again and again', () => {
    expect(attempts(['n1', 0], ['n2', 10], ['n1', 20])).toBe(3);
    expect(attempts(['n1', 0], ['n1', 1000], ['n1', 2000])).toBe(3);
  });
});
