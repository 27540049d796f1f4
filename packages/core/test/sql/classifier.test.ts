import { beforeAll, describe, expect, it } from 'vitest';
import { describeReason, type FunctionCall, SqlClassifier, type SqlParser, StatementCache, type Volatility } from '../../src/sql/index.ts';
import { loadParser } from './parser.ts';

let parser: SqlParser;
beforeAll(async () => {
  parser = await loadParser();
});

describe('SqlClassifier', () => {
  it('parses each fingerprint once', () => {
    const parsed: string[] = [];
    const classifier = new SqlClassifier({
      parser: {
        parse: sql => {
          parsed.push(sql);
          return parser.parse(sql);
        },
      },
    });
    const first = classifier.classifyText('select * from t where a = 1');
    expect(classifier.classifyText('SELECT * FROM t WHERE a = 2 -- again')).toBe(first);
    expect(classifier.classifyBytes(new TextEncoder().encode('select * from t where a = 3'))).toBe(first);
    expect(parsed).toEqual(['select * from t where a = 1']);
    expect(classifier.stats).toEqual({ size: 1, hits: 2, misses: 1 });
  });

  it('sends what the parser throws at to the primary, and what is too long', () => {
    const broken = new SqlClassifier({
      parser: {
        parse: () => {
          throw new Error('trap');
        },
      },
    });
    expect(broken.classifyText('select 1').unit).toMatchObject({ demand: 'primary', reason: { code: 'unparsable' } });
    expect(broken.classifyText(`select ${'a + '.repeat(30_000)} a`).unit).toMatchObject({
      demand: 'primary',
      reason: { code: 'too-long' },
    });
    expect(broken.stats.size).toBe(1);
  });

  it('survives trees as deep as the parser makes them', () => {
    const classifier = new SqlClassifier({ parser });
    for (const depth of [100, 1000, 20_000]) {
      const { unit } = classifier.classifyText(`select ${'a + '.repeat(depth)}nextval('s')`);
      expect(unit.demand).toBe('primary');
    }
    expect(classifier.classifyText('select 1').unit.demand).toBe('replica');
  });

  it('judges anew when the facts about functions change', () => {
    const known = new Map<string, Volatility>();
    const facts = { volatility: ({ name }: FunctionCall): Volatility | null => known.get(name) ?? null };
    const classifier = new SqlClassifier({ parser, facts });
    const statement = classifier.classifyText('select f(1), g(2), lower(a)');
    expect(statement.unit).toMatchObject({ demand: 'primary', reason: { code: 'function-unknown', detail: 'f' } });
    expect(statement.unit.unknownFunctions.map(call => call.name)).toEqual(['f', 'g']);
    expect(statement.unit.functions.map(call => call.name)).toEqual(['f', 'g', 'lower']);
    known.set('f', 'stable').set('g', 'immutable');
    classifier.functionsChanged();
    expect(classifier.classifyText('select f(1), g(2), lower(a)').unit).toMatchObject({
      demand: 'replica',
      unknownFunctions: [],
      plainRead: true,
    });
    known.set('g', 'volatile');
    classifier.functionsChanged();
    expect(classifier.classifyText('select f(1), g(2), lower(a)').unit).toMatchObject({
      demand: 'primary',
      reason: { code: 'function-volatile', detail: 'g' },
    });
  });

  it('remembers that a replica refused a statement, until the definitions change', () => {
    const classifier = new SqlClassifier({ parser });
    const statement = classifier.classifyText('select * from view_that_writes');
    classifier.learnRefusedReadOnly(statement);
    const again = classifier.classifyText('select * from view_that_writes where true');
    expect(again.unit.demand).toBe('replica');
    expect(classifier.classifyText('select * from view_that_writes').unit).toMatchObject({
      demand: 'primary',
      reason: { code: 'refused-read-only' },
      plainRead: false,
    });
    classifier.functionsChanged();
    expect(classifier.classifyText('select * from view_that_writes').unit.demand).toBe('replica');
  });

  it.each([
    ['select a from t', true],
    ['select lower(a), now() from t', true],
    ['values (1)', true],
    ['select random()', false],
    ['select pg_sleep(1)', false],
    ['select 1; select 2', false],
    ['explain select 1', false],
    ['select a from t for share', false],
    ['copy t to stdout', false],
    ['/* understudy:primary */ select 1', false],
    ['/* understudy:replica */ select unknown_function()', false],
  ])('plainRead of %s is %s', (sql, expected) => {
    expect(new SqlClassifier({ parser }).classifyText(sql).unit.plainRead).toBe(expected);
  });

  it('tells reasons in a sentence', () => {
    const { reason } = new SqlClassifier({ parser }).classifyText("select nextval('s')").unit;
    expect(describeReason(reason)).toBe('calls a function that writes: nextval');
    expect(describeReason({ code: 'insert', detail: '' })).toBe('INSERT writes');
  });
});

describe('StatementCache', () => {
  const UNIT = {
    demand: 'replica',
    reason: { code: 'read', detail: '' },
    statements: [],
    effects: [],
    functions: [],
    unknownFunctions: [],
  } as const;
  const entry = (name: string, hash: number) => ({
    fingerprint: new TextEncoder().encode(name),
    hash,
    unit: { ...UNIT, hints: { route: null, consistency: null }, plainRead: true },
    factsGeneration: 0,
    learned: { refusedReadOnly: false, meanMs: 0, meanBytes: 0, runs: 0 },
  });
  const find = (cache: StatementCache, name: string, hash: number) => {
    const bytes = new TextEncoder().encode(name);
    return cache.find(bytes, bytes.length, hash);
  };

  it('tells fingerprints of one hash apart', () => {
    const cache = new StatementCache(10);
    const [a, b] = [entry('a', 7), entry('b', 7)];
    cache.add(a);
    cache.add(b);
    expect(find(cache, 'a', 7)).toBe(a);
    expect(find(cache, 'b', 7)).toBe(b);
    expect(find(cache, 'c', 7)).toBeNull();
    expect(find(cache, 'aa', 7)).toBeNull();
  });

  it('never grows past its capacity, and keeps what is used', () => {
    const cache = new StatementCache(4);
    const hot = entry('hot', 1);
    cache.add(hot);
    for (let i = 0; i < 100; i++) {
      cache.add(entry(`cold ${i}`, 100 + i));
      expect(find(cache, 'hot', 1)).toBe(hot);
    }
    expect(cache.size).toBe(4);
    expect(find(cache, 'cold 0', 100)).toBeNull();
    expect(find(cache, 'cold 99', 199)).not.toBeNull();
  });

  it('bounds the entries of one hash, whoever chooses the texts', () => {
    const cache = new StatementCache(100);
    for (let i = 0; i < 1000; i++) cache.add(entry(`same ${i}`, 5));
    const kept = Array.from({ length: 1000 }, (_, i) => find(cache, `same ${i}`, 5)).filter(found => found !== null);
    expect(kept.length).toBeLessThanOrEqual(8);
    expect(find(cache, 'same 999', 5)).not.toBeNull();
    for (let i = 0; i < 200; i++) cache.add(entry(`other ${i}`, 1000 + i));
    expect(cache.size).toBe(100);
    expect(find(cache, 'same 999', 5)).toBeNull();
  });

  it('refuses a capacity that holds nothing', () => {
    expect(() => new StatementCache(0)).toThrow(RangeError);
  });
});
