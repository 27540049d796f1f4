import { describe, expect, test } from 'vitest';
import { beginsOnReplica, SqlClassifier, transactionDefaults } from '../../src/sql/index.ts';
import { loadParser } from './parser.ts';

const classifier = new SqlClassifier({ parser: await loadParser() });
const begins = (sql: string, defaults: Record<string, string> = {}): boolean =>
  beginsOnReplica(classifier.classifyText(sql).unit, transactionDefaults(new Map(Object.entries(defaults))));

const READ_ONLY = { default_transaction_read_only: 'on' };

describe('a transaction that a replica can run', () => {
  test.each([
    'BEGIN READ ONLY',
    'START TRANSACTION READ ONLY',
    'begin transaction isolation level repeatable read, read only',
    'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY DEFERRABLE',
    '/* understudy:consistency=eventual */ BEGIN READ ONLY',
  ])('%s', sql => {
    expect(begins(sql)).toBe(true);
  });

  test.each([
    'BEGIN',
    'BEGIN READ WRITE',
    'BEGIN READ ONLY, READ WRITE',
    'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE',
    'BEGIN READ ONLY; SELECT 1',
    'SET TRANSACTION READ ONLY',
    'COMMIT',
    'SELECT 1',
    '/* understudy:primary */ BEGIN READ ONLY',
  ])('not %s', sql => {
    expect(begins(sql)).toBe(false);
  });

  test("follows the session's defaults where BEGIN says nothing", () => {
    expect([begins('BEGIN', READ_ONLY), begins('BEGIN READ WRITE', READ_ONLY)]).toEqual([true, false]);
    expect(begins('BEGIN', { ...READ_ONLY, default_transaction_isolation: 'serializable' })).toBe(false);
    expect(begins('BEGIN ISOLATION LEVEL REPEATABLE READ', { ...READ_ONLY, default_transaction_isolation: 'serializable' })).toBe(true);
    expect(begins('BEGIN', { default_transaction_read_only: 'off' })).toBe(false);
  });
});
