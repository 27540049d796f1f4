import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLsn, lagBytes, maxLsn, minLsn, parseLsn } from '../../src/cluster/index.ts';

const anyLsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('reads and writes positions as PostgreSQL does', () => {
  expect(parseLsn('0/3000060')).toBe(0x3000060n);
  expect(parseLsn('16/B374D848')).toBe(0x16_b374d848n);
  expect(parseLsn('ffffffff/FFFFFFFF')).toBe(2n ** 64n - 1n);
  expect(formatLsn(0n)).toBe('0/0');
  expect(formatLsn(0x16_b374d848n)).toBe('16/B374D848');
  expect(formatLsn(0x1_00000000n)).toBe('1/0');
});

test('every position survives its text', () => {
  fc.assert(
    fc.property(anyLsn, lsn => {
      expect(parseLsn(formatLsn(lsn))).toBe(lsn);
    }),
    { seed: 1 },
  );
});

test.each(['', '0', '0/', '/0', '0/0/0', ' 0/0', '0/0 ', '0/g', '123456789/0', '0/123456789', '-1/0', '0x1/0', '0/0\n'])(
  'refuses %j',
  text => {
    expect(() => parseLsn(text)).toThrow(RangeError);
  },
);

test('the order of two positions', () => {
  fc.assert(
    fc.property(anyLsn, anyLsn, (a, b) => {
      expect([minLsn(a, b), maxLsn(a, b)]).toEqual(a < b ? [a, b] : [b, a]);
      expect(lagBytes(a, b)).toBe(a > b ? Number(a - b) : 0);
    }),
    { seed: 2 },
  );
});
