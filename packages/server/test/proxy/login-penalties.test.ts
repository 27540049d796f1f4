import { describe, expect, test } from 'vitest';
import { DEFAULT_PENALTY_RULES, LoginPenalties } from '../../src/proxy/login-penalties.ts';

const open = (change = {}): LoginPenalties => new LoginPenalties({ ...DEFAULT_PENALTY_RULES, delayMs: 250, ...change });

describe('failed logins', () => {
  test('are answered later and later, up to a limit', () => {
    const penalties = open();
    expect([1, 2, 3, 4, 5, 6].map(() => penalties.failed('10.0.0.1', 'ann', 0))).toEqual([250, 500, 1000, 2000, 4000, 4000]);
  });

  test('are forgiven with time', () => {
    const penalties = open();
    for (let i = 0; i < 4; i++) penalties.failed('10.0.0.1', 'ann', 0);
    expect(penalties.failed('10.0.0.1', 'ann', 4_000)).toBe(250);
  });

  test('of one role or address do not slow down another', () => {
    const penalties = open();
    for (let i = 0; i < 1000; i++) penalties.failed('10.0.0.1', 'ann', 0);
    expect(penalties.refuses('10.0.0.1', 'ann', 0)).toBe(true);
    expect(penalties.refuses('10.0.0.1', 'bob', 0)).toBe(false);
    expect(penalties.refuses('10.0.0.2', 'ann', 0)).toBe(false);
    expect(penalties.failed('10.0.0.2', 'ann', 0)).toBe(250);
  });

  test('lead to a refusal without a look once they are too many, until some are forgiven', () => {
    const penalties = open({ maxFailures: 3 });
    for (let i = 0; i < 3; i++) {
      expect(penalties.refuses('10.0.0.1', 'ann', 0)).toBe(false);
      penalties.failed('10.0.0.1', 'ann', 0);
    }
    expect(penalties.refuses('10.0.0.1', 'ann', 0)).toBe(true);
    expect(penalties.refuses('10.0.0.1', 'ann', 1_001)).toBe(false);
  });

  test('of one IPv6 network count together, and IPv4 is the same in both spellings', () => {
    const penalties = open();
    penalties.failed('2001:db8:1:2:3:4:5:6', 'ann', 0);
    expect(penalties.failed('2001:db8:1:2:ffff::1', 'ann', 0)).toBe(500);
    penalties.failed('::ffff:10.0.0.1', 'ann', 0);
    expect(penalties.failed('10.0.0.1', 'ann', 0)).toBe(500);
  });

  test('take bounded memory: the oldest record goes', () => {
    const penalties = open({ maxEntries: 100 });
    for (let i = 0; i < 1000; i++) penalties.failed(`10.0.${i >> 8}.${i & 255}`, 'ann', 0);
    expect(penalties.size).toBe(100);
    expect(penalties.failed('10.0.3.231', 'ann', 0)).toBe(500);
    expect(penalties.failed('10.0.0.0', 'ann', 0)).toBe(250);
  });
});
