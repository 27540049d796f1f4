import { expect, test } from 'vitest';
import { synchronousNames } from '@understudy/core/failover';
import { toSynchronousNames } from '../../src/agent/names.ts';

test('what decide writes is what PostgreSQL is given', () => {
  expect(toSynchronousNames(synchronousNames({ cohort: [], acks: 0 }, 7))).toEqual({ kind: 'none' });
  expect(toSynchronousNames(synchronousNames({ cohort: ['n2', 'n3'], acks: 1 }, 7))).toEqual({
    kind: 'quorum',
    acks: 1,
    names: ['n2_t7', 'n3_t7'],
  });
  expect(toSynchronousNames('ANY 1 (understudy_nobody)')).toEqual({ kind: 'blocked' });
});

test.each(['*', 'n2_t7', 'FIRST 1 (n2_t7)', 'ANY (n2_t7)', 'ANY 1 ()', 'ANY 1 (n2_t7', 'ANY 1 (N2)', "ANY 1 (n2'; drop table t)", ' '])(
  'refuses %j',
  value => {
    expect(() => toSynchronousNames(value)).toThrow(RangeError);
  },
);
