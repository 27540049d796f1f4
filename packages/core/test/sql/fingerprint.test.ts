import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  Fingerprinter,
  fingerprint,
  isScannable,
  MAX_FINGERPRINT_BYTES,
  MAX_SCAN_BYTES,
  NO_HINTS,
  type SqlParser,
  type Unit,
} from '../../src/sql/index.ts';
import { unitOf } from '../../src/sql/unit.ts';
import { FACTS, loadParser, OVERRIDES } from './parser.ts';
import { STATEMENTS } from './statements.ts';

const SEED = 20260101;
const utf8 = new TextEncoder();

const TABLE = STATEMENTS.split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => line.slice(line.indexOf('|') + 2).replaceAll('¶', '\n'));

describe('fingerprint', () => {
  it.each([
    ['numbers', ['select 1', 'select 2.5', 'select 1e10', 'SELECT 0x1F', 'select .5', 'select 1_000', '  select\n\t7 ;']],
    [
      'strings',
      [
        "select 'a'",
        "select ''",
        "select 'it''s'",
        "select E'a\\'b'",
        'select $$a$$',
        "select $x$ $$ ' $x$",
        "select 'a'\n 'b'",
        "select n'a'",
      ],
    ],
    ['backslashes in plain strings', ["select 'a\\', b", "select 'c', b"]],
    ['comments', ['select 1', 'select/**/1', 'select /* a /* b */ c */ 1', 'select 1 -- x', '-- y\nselect 1', 'select 1 /* trailing */']],
    ['space around operators', ['select a=1', 'select a = 2', 'select a\n=\n3']],
    ['lists', ['select * from t where a in (1)', 'select * from t where a in (1,2,3)', 'select * from t where a in (-1, +2, 33)']],
    ['parameters', ['select * from t where a in ($1)', 'select * from t where a in ($1, $2, $3)']],
    ['rows', ['insert into t values (1)', "insert into t values (1,'a',null),(2,'b',default),(-3,true,$1)"]],
    ['arrays', ['select array[1]', 'select array[1,2,3]']],
    ['unquoted case', ['select A from T', 'SELECT a FROM t']],
    ['the value of set_config', ["select set_config('a', 'secret', true)", "select set_config('a', 'other', true)"]],
    ['what EXPLAIN explains', ['explain (analyze) select 1', 'explain (analyze) select 2']],
  ])('merges %s', (_, texts) => {
    expect(new Set(texts.map(fingerprint)).size).toBe(1);
  });

  it.each([
    ['identifiers', 'select a', 'select b'],
    ['quoted case', 'select "A"', 'select "a"'],
    ['quoted and not', 'select "a"', 'select a'],
    ['kinds of literals', "select 'a'", 'select 1'],
    ['bit strings', "select B'1'", "select X'1'"],
    ['function names', "select nextval('a')", "select currval('a')"],
    ['settings', 'set a = 1', 'set a = 2'],
    ['the name in set_config', "select set_config('a', 'x', true)", "select set_config('b', 'x', true)"],
    ['the scope in set_config', "select set_config('a', 'x', true)", "select set_config('a', 'x', false)"],
    ['the scope in set_config as text', "select set_config('a', 'x', 't'::bool)", "select set_config('a', 'x', 'f'::bool)"],
    ['options of EXPLAIN', 'explain (analyze 0) delete from t', 'explain (analyze 1) delete from t'],
    ['transaction modes', 'begin read only', 'begin read write'],
    ['hints', '/* understudy:primary */ select 1', 'select 1'],
    ['operators', 'select a - -1', 'select a -1'],
    ['a comment in disguise', 'select a --1', 'select a - -1'],
    ['numbers glued to words', 'select 1into t', 'select 1'],
    ['a list that goes on', 'select f(1, 2)', 'select f(1, 2 + g())'],
    ['statements', 'select 1', 'select 1; select 1'],
  ])('keeps %s apart', (_, one, other) => {
    expect(fingerprint(one)).not.toBe(fingerprint(other));
  });

  it('is the same for a string and its bytes, and for a part of a larger buffer', () => {
    const sql = 'select \'Grüße\', "表", été -- 🎉\n from t where a = 1';
    const bytes = utf8.encode(`XX${sql}YY`);
    const part = new Fingerprinter();
    part.scan(bytes, 2, bytes.length - 2);
    expect(part.text()).toBe(fingerprint(sql));
    expect(fingerprint(utf8.encode(sql))).toBe(fingerprint(sql));
    expect(fingerprint(sql)).toBe(`select '',"表",été from t where a = 1`);
  });

  it('folds a bulk insert to a handful of bytes', () => {
    const rows = Array.from({ length: 5000 }, (_, i) => `(${i}, 'name ${i}', null)`).join(', ');
    expect(fingerprint(`insert into t values ${rows}`)).toBe('insert into t values(1)');
  });

  it('gives up on texts over its limits', () => {
    expect(fingerprint(`select '${'x'.repeat(MAX_SCAN_BYTES)}'`)).toBeNull();
    expect(fingerprint(utf8.encode(`select '${'x'.repeat(MAX_SCAN_BYTES)}'`))).toBeNull();
    expect(fingerprint(`select ${'a+'.repeat(MAX_FINGERPRINT_BYTES / 2)}a`)).toBeNull();
    expect(fingerprint(`select '${'x'.repeat(MAX_SCAN_BYTES - 100)}'`)).toBe("select ''");
  });

  it('is only for sessions whose bytes can be told apart', () => {
    expect(['UTF8', 'LATIN1', 'EUC_JP', 'SQL_ASCII', 'SJIS', 'Shift_JIS_2004', 'big5', 'GBK'].map(name => isScannable(name, 'on'))).toEqual(
      [true, true, true, true, false, false, false, false],
    );
    expect(isScannable('UTF8', 'off')).toBe(false);
  });

  it('takes any bytes at all', () => {
    const soup = fc.array(fc.constantFrom(...`'"$-/*;()[],.:\\abeExXuU&nN019_ \n\u00ff{}`), { maxLength: 60 }).map(chars => chars.join(''));
    fc.assert(
      fc.property(fc.oneof(soup, fc.uint8Array({ maxLength: 80 }), fc.string({ unit: 'binary', maxLength: 40 })), text => {
        const once = fingerprint(text);
        expect(once).not.toBeNull();
      }),
      { seed: SEED, numRuns: 5000 },
    );
  });
});

/** A text with every literal, comment, space and letter case of it made anew: the fingerprint must not tell the two apart. */
const VARIANT = fc.record({
  number: fc.oneof(fc.nat().map(String), fc.constantFrom('0x1F', '1.5', '2e5', '.25')),
  string: fc.constantFrom("'a'", "''", "'it''s; drop'", "E'\\''", '$$ -- $$', "$q$ ' $q$", "'x'\n'y'"),
  gap: fc.constantFrom(' ', '\n', '\t ', ' /* c */ ', ' -- c\n', '/* a /* b */ */ '),
  end: fc.constantFrom('', ';', ' ;', ' -- end', '\n'),
});

type Variant = typeof VARIANT extends fc.Arbitrary<infer T> ? T : never;

const TEMPLATES = [
  'select # from t where a = @',
  'SELECT a FROM t WHERE b IN (#, #, @)',
  'insert into t (a, b) values (#, @), (#, @)',
  'update t set a = @ where b > #',
  'delete from t where a = @ returning #',
  'with x as (insert into t values (@) returning *) select * from x',
  'select nextval(@)',
  'select f(#, @), g(@)',
  'select * from t where a = @ for update',
  'select * from t limit # offset #',
  'call p(#, @)',
  "select set_config('a.b', @, true)",
  'select pg_advisory_lock(#)',
  'execute p(#, @)',
  'explain analyze update t set a = #',
  'select # into t',
  'select (#, @)::r, json_build_object(@, #)',
  'merge into t using u on t.a = # when matched then update set b = @',
];

function fill(template: string, { number, string, gap, end }: Variant): string {
  return template.replaceAll(/[ #@]/g, mark => (mark === ' ' ? gap : mark === '#' ? number : string)) + end;
}

describe('what the fingerprint merges', () => {
  let parser: SqlParser;
  beforeAll(async () => {
    parser = await loadParser();
  });

  /** The class of the text itself, without its fingerprint; null when it is not SQL. */
  function classOf(sql: string): Unit | null {
    try {
      return unitOf(sql === '' ? {} : parser.parse(sql), NO_HINTS, { facts: FACTS, overrides: OVERRIDES });
    } catch {
      return null;
    }
  }

  it.each(TABLE)('has one class with its fingerprint: %s', sql => {
    const folded = fingerprint(sql) as string;
    expect(fingerprint(folded)).toBe(folded);
    // `select 1into t` is SQL up to PostgreSQL 14: the fingerprint sees more than today's grammar does.
    if (classOf(sql) !== null || sql.includes('1into'))
      expect(classOf(folded)).toEqual(classOf(sql) ?? classOf(sql.replace('1into', '1 into')));
  });

  it('has one class in all its variants, and they are merged', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TEMPLATES), VARIANT, VARIANT, (template, one, other) => {
        const [a, b] = [fill(template, one), fill(template, other)];
        expect(fingerprint(a)).toBe(fingerprint(b));
        const unit = classOf(a);
        expect(unit).not.toBeNull();
        expect(classOf(b)).toEqual(unit);
        expect(classOf(fingerprint(a) as string)).toEqual(unit);
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });

  it('is SQL of the same class whenever the text was SQL, put together from any pieces', () => {
    const pieces = [
      ...TABLE.filter(sql => sql.length < 60),
      'select',
      'from t',
      ',',
      '(',
      ')',
      '1',
      "'a'",
      'null',
      '-1',
      'for update',
      ';',
      'f(1, 2)',
      '::int',
      'a',
      '"B"',
      'u&',
      'e',
      '$1',
      '--x\n',
    ];
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(' ', '', '\n', ', ', '; ', ' union '),
        (parts, glue) => {
          const sql = parts.join(glue);
          const unit = classOf(sql);
          const folded = fingerprint(sql) as string;
          if (unit !== null) expect({ sql, unit: classOf(folded) }).toEqual({ sql, unit });
        },
      ),
      { seed: SEED, numRuns: 3000 },
    );
  });
});
