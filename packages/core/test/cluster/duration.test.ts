import { expect, it } from 'vitest';
import { formatDuration, parseDuration } from '../../src/cluster/index.ts';

it.each([
  ['250ms', 250],
  ['30s', 30_000],
  [' 15 min ', 900_000],
  ['1h', 3_600_000],
  ['7d', 604_800_000],
  ['1', null],
  ['-1h', null],
  ['1.5h', null],
  ['1 hour', null],
])('reads %j as %j ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

it.each([
  [0, '0 s'],
  [250, '250 ms'],
  [90_000, '90 s'],
  [5_400_000, '90 min'],
  [7_200_000, '2 h'],
  [172_800_000, '2 d'],
])('tells %j ms as %j', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
