import { expect, test } from 'vitest';
import type { Vitals } from '../../src/postgres/index.ts';
import { countedMs, SilenceMeter } from '../../src/agent/silence.ts';

const vitals = (waitedMs: number, stopped = false, others: Readonly<Record<string, number>> = {}): Vitals => ({
  stopped,
  waitedForCpuMs: new Map([['postmaster', waitedMs], ...Object.entries(others)]),
});

test.each([
  ['the system tells nothing', 250, null, null, 250],
  ['the system tells nothing of the beginning', 250, null, vitals(900), 250],
  ['the server wants no processor', 250, vitals(100), vitals(101), 250],
  ['the server waits for a processor', 250, vitals(100), vitals(200), 31.25],
  ['its processes wait for more than the span together', 250, vitals(100), vitals(2000), 31.25],
  ['it is stopped, on a busy machine too', 250, vitals(100), vitals(400, true), 250],
  ['a child that had waited is gone', 250, vitals(100, false, { child: 900 }), vitals(100), 250],
  [
    'a child that had waited is gone, and another one waits',
    250,
    vitals(100, false, { child: 900 }),
    vitals(100, false, { next: 90 }),
    31.25,
  ],
  ['the observer itself did not run', 10_000, vitals(100), vitals(100), 500],
  ['neither of them ran', 10_000, vitals(100), vitals(9000), 62.5],
  ['the clock stands still', 0, vitals(100), vitals(100), 0],
])('silence counts when %s', (_name, spanMs, before, after, expected) => {
  expect(countedMs(spanMs, 500, before, after)).toBe(expected);
});

test('adds up from the last answer on', () => {
  const meter = new SilenceMeter(500);
  meter.measure(1000, null);
  expect(meter.countedMs).toBe(0);
  meter.restart(1000);
  meter.measure(1250, null);
  meter.measure(1500, vitals(10));
  meter.measure(1750, vitals(110));
  expect(meter.countedMs).toBe(250 + 250 + 250 / 8);
  meter.measure(2000, vitals(110, true));
  expect(meter.countedMs).toBe(250 + 250 + 250 / 8 + 250);
  meter.restart(2100);
  meter.measure(2200, vitals(110));
  expect(meter.countedMs).toBe(100);
});
