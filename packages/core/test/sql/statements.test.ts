import { beforeAll, describe, expect, it } from 'vitest';
import { SqlClassifier, type SqlParser } from '../../src/sql/index.ts';
import { FACTS, loadParser, OVERRIDES } from './parser.ts';
import { STATEMENTS } from './statements.ts';

interface Row {
  readonly sql: string;
  readonly demand: string;
  readonly code: string;
  readonly detail: string | undefined;
  readonly kinds: string;
}

function rowOf(line: string): Row {
  const bar = line.indexOf('|');
  const [demand = '', reason = '', kinds = ''] = line.slice(0, bar).split(' ');
  const [code = '', ...detail] = reason.split(':');
  return { sql: line.slice(bar + 2).replaceAll('¶', '\n'), demand, code, detail: detail.length > 0 ? detail.join(':') : undefined, kinds };
}

const ROWS = STATEMENTS.split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(rowOf);

describe('the table of statements', () => {
  let parser: SqlParser;
  beforeAll(async () => {
    parser = await loadParser();
  });

  it('has at least 300 rows, each text once', () => {
    expect(ROWS.length).toBeGreaterThanOrEqual(300);
    expect(new Set(ROWS.map(row => row.sql)).size).toBe(ROWS.length);
  });

  it.each(ROWS)('$demand, $code: $sql', ({ sql, demand, code, detail, kinds }) => {
    const { unit } = new SqlClassifier({ parser, facts: FACTS, overrides: OVERRIDES }).classifyText(sql);
    expect({ demand: unit.demand, code: unit.reason.code, kinds: unit.statements.map(one => one.kind).join('+') }).toEqual({
      demand,
      code,
      kinds,
    });
    if (detail !== undefined) expect(unit.reason.detail).toBe(detail);
  });
});
