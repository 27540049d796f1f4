import { describe, expect, test } from 'vitest';
import { niceCeiling } from '../lib/chart.ts';
import { parseLatencies, parseProgress, parseSummary } from '../lib/pgbench.ts';
import { cpuMicroseconds, familyOf, parseStat } from '../lib/process-times.ts';
import { median, quantile, ratioOfRounds, rotated } from '../lib/stats.ts';
import { cellsFor } from '../parts/index.ts';

describe('statistics', () => {
  test('a quantile lies between its neighbours', () => {
    expect(quantile([4, 1, 3, 2], 0)).toBe(1);
    expect(quantile([4, 1, 3, 2], 1)).toBe(4);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([5, 1, 3])).toBe(3);
    expect(median([])).toBeNaN();
  });

  test('ratios are taken within rounds, and a round that failed on one side does not count', () => {
    // In the second round the machine was busy: both were half as fast.
    expect(ratioOfRounds([20, 10, null, 40], [10, 5, 7, null])).toEqual({ median: 2, least: 2, greatest: 2 });
    expect(ratioOfRounds([1, 3], [1, 1])).toEqual({ median: 2, least: 1, greatest: 3 });
    expect(ratioOfRounds([null], [1])).toBeNull();
  });

  test('every peer begins a round', () => {
    expect([0, 1, 2, 3].map(round => rotated(['a', 'b', 'c'], round)[0])).toEqual(['a', 'b', 'c', 'a']);
    expect(rotated(['a', 'b', 'c'], 1)).toEqual(['b', 'c', 'a']);
    expect(rotated([], 1)).toEqual([]);
  });
});

describe("pgbench's words", () => {
  test('progress', () => {
    expect(parseProgress('progress: 2.0 s, 13563.3 tps, lat 0.588 ms stddev 0.181, 0 failed')).toEqual({ atSeconds: 2, tps: 13563.3 });
    expect(parseProgress('pgbench: error: client 1 aborted')).toBeNull();
  });

  test('summary, with and without reconnection', () => {
    const summary =
      'number of failed transactions: 3 (0.010%)\ninitial connection time = 4 ms\ntps = 15012.123 (without initial connection time)\n';
    expect(parseSummary(summary)).toEqual({ tps: 15012.123, failed: 3 });
    expect(parseSummary('tps = 91.5 (including reconnection times)\n')).toEqual({ tps: 91.5, failed: 0 });
    expect(() => parseSummary('number of transactions actually processed: 0\n')).toThrow('no tps');
  });

  test('the log of transactions', () => {
    expect(parseLatencies('0 1 1500 0 1700000000 12\n1 2 250 0 1700000000 13\n1 3 failed 0 1700000000 14\n')).toEqual([1.5, 0.25]);
  });
});

describe('/proc', () => {
  const line = (name: string, parent: number, times: readonly [number, number, number, number]): string =>
    `7 (${name}) S ${parent} 7 7 0 -1 4194560 1 2 3 4 ${times.join(' ')} 20 0 1 0 100 1000 10`;

  test('a name may hold spaces and parentheses', () => {
    expect(parseStat(line('a) S 9 (b', 42, [1, 2, 3, 4]))).toEqual({ parent: 42, ticks: 10 });
    expect(parseStat('')).toBeNull();
  });

  test('a family is all below, and its time includes children that are gone', () => {
    const table = new Map([
      [1, { parent: 0, ticks: 100 }],
      [2, { parent: 1, ticks: 5 }],
      [3, { parent: 2, ticks: 7 }],
      [4, { parent: 1, ticks: 1000 }],
    ]);
    expect([...familyOf(table, [2, 99])]).toEqual([2, 3]);
    expect(cpuMicroseconds(table, [2])).toBe(120_000);
  });
});

test('parts are named by the words they begin with', () => {
  expect(cellsFor(['points-extended-1']).map(cell => cell.id)).toEqual(['points-extended-1']);
  expect(cellsFor(['points-extended']).length).toBe(5);
  expect(cellsFor([]).length).toBeGreaterThan(20);
  expect(() => cellsFor(['pionts'])).toThrow('points-extended-1');
});

test('an axis ends at a round number', () => {
  expect([900, 1000, 1005, 1020, 2300, 26_000].map(niceCeiling)).toEqual([1000, 1000, 1000, 2000, 2500, 30_000]);
});
