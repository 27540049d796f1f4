import { SqlClassifier } from '@understudy/core/sql';
import { frontend } from '@understudy/wire';
import { describe, expect, it } from 'vitest';
import { ClientReader, type UnitReceiver } from '../../src/proxy/client-reader.ts';
import type { ClientUnit } from '../../src/proxy/client-unit.ts';
import { learnRun, mayRide } from '../../src/proxy/lanes.ts';
import { PreparedOnServer, type PreparedStatement } from '../../src/proxy/prepared.ts';
import { SettingsSet } from '../../src/proxy/settings-set.ts';
import { sqlParser } from '../../src/proxy/sql-parser.ts';
import { isWorthPreparing, Texts } from '../../src/proxy/statements.ts';

const classifier = new SqlClassifier({ parser: await sqlParser() });
let ids = 0;
const texts = new Texts(classifier, () => ++ids);

/** The unit that these messages make. */
function unitOf(...messages: readonly Buffer[]): ClientUnit {
  let unit: ClientUnit | null = null;
  const receiver: UnitReceiver = {
    onUnit: made => {
      unit = made;
    },
    onCopy: () => undefined,
    takesLoneSync: () => false,
    onTerminate: () => undefined,
    nowMs: () => 0,
  };
  const reader = new ClientReader(receiver, classifier, texts, 1 << 20);
  for (const message of messages) reader.onFrame(message[0] as number, message, 0, message.length);
  if (unit === null) throw new Error('no unit');
  return unit;
}

const extended = (sql: string, maxRows = 0): Buffer[] => [
  frontend.parse('', sql),
  frontend.bind('', ''),
  frontend.describe({ kind: 'portal', name: '' }),
  frontend.execute('', maxRows),
  frontend.SYNC,
];
const text = (sql: string) => {
  const parse = frontend.parse('', sql);
  const start = parse.indexOf(0, 5) + 1;
  return texts.find(parse, start, parse.indexOf(0, start), parse.length);
};
const known = (unit: ClientUnit, ms = 1, bytes = 100): ClientUnit => {
  for (let i = 0; i < 3; i++) for (const one of new Set(unit.texts)) learnRun(one, ms, bytes);
  return unit;
};

describe('which reads may ride in a lane', () => {
  it('a plain one that has been quick and small', () => {
    const unit = unitOf(...extended('select id from a where id = 1'));
    expect(mayRide(unit, SettingsSet.EMPTY)).toBe(false);
    expect(mayRide(known(unit), SettingsSet.EMPTY)).toBe(true);
    expect(mayRide(known(unitOf(frontend.query('select id from b where id = 1'))), SettingsSet.EMPTY)).toBe(true);
  });

  it.each([
    ['slow', () => known(unitOf(...extended('select 1 from slow')), 50)],
    ['large', () => known(unitOf(...extended('select 1 from large')), 1, 1_000_000)],
    ['volatile', () => known(unitOf(...extended('select random() from v')))],
    ['a write', () => known(unitOf(...extended('insert into w values (1)')))],
    ['locking', () => known(unitOf(...extended('select 1 from l for update')))],
    ['two statements', () => known(unitOf(frontend.query('select 1 from t1; select 2 from t2')))],
    ['some rows of it only', () => known(unitOf(...extended('select 1 from limited', 5)))],
    ['two executions in one unit', () => known(unitOf(...extended('select 1 from twice').slice(0, 4), ...extended('select 1 from twice')))],
    ['cut short', () => ({ ...known(unitOf(...extended('select 1 from open'))), complete: false })],
    ['sent back by a lane', () => ({ ...known(unitOf(...extended('select 1 from back'))), alone: true })],
  ])('not one that is %s', (_why, make) => {
    expect(mayRide(make(), SettingsSet.EMPTY)).toBe(false);
  });

  it('not one whose client times its statements', () => {
    const settings = SettingsSet.of(new Map([['statement_timeout', '1s']]));
    expect(mayRide(known(unitOf(...extended('select 1 from timed'))), settings)).toBe(false);
  });
});

describe('texts', () => {
  it('of the same bytes are one, and so are their statements in one scope', () => {
    const [a, b] = [text('select 1 as same'), text('select 1 as same')];
    expect(a).toBe(b);
    expect(text('select 2 as same')).not.toBe(a);
    expect(texts.statementOf(a, '')).toBe(texts.statementOf(b, ''));
    expect(texts.statementOf(a, 'other')).not.toBe(texts.statementOf(a, ''));
    expect(texts.statementAlone(a.tail, '').serverName).not.toBe(texts.statementOf(a, '').serverName);
  });

  it('are worth preparing when they come again and are one query or change', () => {
    expect(isWorthPreparing(text('select 1 as once'))).toBe(false);
    text('select 1 as again');
    expect(isWorthPreparing(text('select 1 as again'))).toBe(true);
    for (const sql of ['begin', 'create table x ()', 'set work_mem = 1', 'no sql']) {
      text(sql);
      expect([sql, isWorthPreparing(text(sql))]).toEqual([sql, false]);
    }
  });

  it('do not grow without end', () => {
    for (let i = 0; i < 30_000; i++) text(`select ${i} as filler`);
    expect(text('select 29999 as filler').uses).toBe(2);
    expect(text('select 0 as filler').uses).toBe(1);
  });
});

describe('what is prepared on a server', () => {
  const statement = (sql: string) => texts.statementOf(text(sql), '');

  it('on its way, it counts in its own group only', () => {
    const on = new PreparedOnServer();
    const settled = on.add(statement('select 1'));
    expect(on.has(statement('select 1'))).toBe(true);
    on.groupEnds();
    expect(on.has(statement('select 1'))).toBe(false);
    settled(true);
    expect(on.has(statement('select 1'))).toBe(true);
  });

  it('a failure of an older attempt does not undo a newer one', () => {
    const on = new PreparedOnServer();
    const first = on.add(statement('select 1'));
    on.groupEnds();
    const second = on.add(statement('select 1'));
    first(false);
    second(true);
    expect(on.has(statement('select 1'))).toBe(true);
  });

  it('an unnamed statement that was skipped leaves another in its place', () => {
    const on = new PreparedOnServer();
    const mine = { clientName: '' } as PreparedStatement;
    const settled = on.setUnnamed(mine);
    expect(on.hasUnnamed(mine)).toBe(true);
    on.groupEnds();
    expect(on.hasUnnamed(mine)).toBe(false);
    settled(false);
    on.setUnnamed(mine)(true);
    on.groupEnds();
    expect(on.hasUnnamed(mine)).toBe(true);
    on.dropUnnamed();
    expect(on.hasUnnamed(mine)).toBe(false);
  });

  it('the least used ones go when there are too many', () => {
    const on = new PreparedOnServer();
    for (let i = 0; i < 12; i++) on.add(statement(`select ${i}`))(true);
    on.has(statement('select 0'));
    const closed = on.takeClosable(10).map(s => s.tail.toString('latin1', 0, s.tail.indexOf(0)));
    expect(closed).toEqual(['select 1', 'select 2', 'select 3']);
    expect(on.takeClosable(10)).toEqual([]);
    expect(on.has(statement('select 1'))).toBe(false);
  });
});
