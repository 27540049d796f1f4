import type { TransactionStatus } from '@understudy/wire';
import { describe, expect, it } from 'vitest';
import { judgeLoss, type LostUnit } from '../../src/proxy/loss.ts';
import { unitOf } from './units.ts';

const lost = (text: string, change: Partial<LostUnit> = {}): LostUnit => ({ unit: unitOf(text), answered: false, fatal: false, ...change });
const judge = (units: readonly LostUnit[], status: TransactionStatus = 'I', wrote = false): string[] =>
  judgeLoss(units, status, wrote).map(v => (v.kind === 'again' ? 'again' : `${v.failure.fields.code} ${v.status}`));

describe('units in flight on a lost server', () => {
  it('reads are run again, unless the client has seen rows of them', () => {
    expect(judge([lost('select 1'), lost('select 2')])).toEqual(['again', 'again']);
    expect(judge([lost('select 1', { answered: true }), lost('select 2')])).toEqual(['57P01 I', 'again']);
  });

  it('an autocommit write has an unknown outcome, a statement in a transaction is rolled back', () => {
    expect(judge([lost('insert into t values (1)')])).toEqual(['08007 I']);
    expect(judge([lost('insert into t values (1)')], 'T', true)).toEqual(['57P01 E']);
    expect(judge([lost('select 1')], 'T', true)).toEqual(['57P01 E']);
  });

  it('a COMMIT that was sent is unknown, and so is what was sent before it', () => {
    expect(judge([lost('commit')], 'T', true)).toEqual(['08007 I']);
    expect(judge([lost('insert into t values (1)'), lost('commit')], 'T', false)).toEqual(['08007 E', '08007 I']);
    expect(judge([lost('begin'), lost('insert into t values (1)'), lost('commit')])).toEqual(['08007 E', '08007 E', '08007 I']);
  });

  it('a ROLLBACK is what it says', () => {
    expect(judge([lost('rollback')], 'T', true)).toEqual(['57P01 I']);
  });

  it('a statement that the server gave up is surely not done', () => {
    expect(judge([lost('insert into t values (1)', { fatal: true })])).toEqual(['57P01 I']);
  });
});
