import { describe, expect, test } from 'vitest';
import { parseSynchronousNames, renderSynchronousNames, sendersAgree } from '../../src/postgres/synchronous-names.ts';

describe('renderSynchronousNames', () => {
  test('writes each kind', () => {
    expect(renderSynchronousNames({ kind: 'blocked' })).toBe('ANY 1 (understudy_nobody)');
    expect(renderSynchronousNames({ kind: 'none' })).toBe('');
    expect(renderSynchronousNames({ kind: 'quorum', acks: 2, names: ['n2_t7', 'n3_t7', 'n4_t7'] })).toBe('ANY 2 (n2_t7, n3_t7, n4_t7)');
  });

  test('refuses what PostgreSQL would read otherwise', () => {
    expect(() => renderSynchronousNames({ kind: 'quorum', acks: 2, names: ['n2_t7'] })).toThrow(RangeError);
    expect(() => renderSynchronousNames({ kind: 'quorum', acks: 0, names: ['n2_t7'] })).toThrow(RangeError);
    expect(() => renderSynchronousNames({ kind: 'quorum', acks: 1, names: ['*'] })).toThrow(RangeError);
    expect(() => renderSynchronousNames({ kind: 'quorum', acks: 1, names: ['n2, n3'] })).toThrow(RangeError);
  });
});

test('a value of ours is read back, another is not guessed at', () => {
  expect(parseSynchronousNames('ANY 1 (n2_t7, n3_t7)')).toEqual(['n2_t7', 'n3_t7']);
  expect(parseSynchronousNames('')).toEqual([]);
  expect(parseSynchronousNames('*')).toBeNull();
});

describe('sendersAgree', () => {
  const sender = (applicationName: string, syncPriority: number, state = 'streaming') => ({ applicationName, syncPriority, state });

  test('needs every streaming walsender to have read the names', () => {
    const names = 'ANY 1 (n2_t7)';
    expect(sendersAgree(names, [sender('n2_t7', 1), sender('n3_t6', 0)])).toBe(true);
    expect(sendersAgree(names, [sender('n2_t7', 0)])).toBe(false);
    expect(sendersAgree(names, [sender('n3_t6', 1)])).toBe(false);
    expect(sendersAgree(names, [sender('understudy_clone', 1, 'backup')])).toBe(true);
    expect(sendersAgree('', [sender('n2_t7', 1)])).toBe(false);
  });

  test('never agrees on a value that is not ours', () => {
    expect(sendersAgree('*', [])).toBe(false);
  });
});
