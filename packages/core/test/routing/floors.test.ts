import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Floor, formatToken, mapFloor, mergeFloors, NO_FLOOR, readToken, satisfies } from '../../src/routing/index.ts';
import { server, topology } from './fixtures.ts';

const SEED = 7;

/** Timeline 1 ended at 1000, timeline 2 at 2000; the primary writes 3. */
const THREE = topology([server('n2', { timeline: 3 })], {
  primary: { kind: 'open', server: server('n1', { timeline: 3 }) },
  history: [
    { timeline: 1, endLsn: 1000n },
    { timeline: 2, endLsn: 2000n },
  ],
});

describe('a floor across failovers', () => {
  it.each([
    ['on the present timeline stays', { timeline: 3, lsn: 2500n }, { timeline: 3, lsn: 2500n }],
    ['before the fork keeps its place', { timeline: 1, lsn: 900n }, { timeline: 3, lsn: 900n }],
    ['past the fork falls back to it: what lay there is lost', { timeline: 1, lsn: 1500n }, { timeline: 3, lsn: 1000n }],
    ['of each timeline has its own fork', { timeline: 2, lsn: 1500n }, { timeline: 3, lsn: 1500n }],
    ['without a timeline is on the present one', { timeline: 0, lsn: 2100n }, { timeline: 3, lsn: 2100n }],
    ['of a timeline nobody knows asks for the newest fork', { timeline: -1, lsn: 5n }, { timeline: 3, lsn: 2000n }],
    ['of a newer timeline than is known stays', { timeline: 4, lsn: 5n }, { timeline: 4, lsn: 5n }],
    ['that is none stays none', NO_FLOOR, NO_FLOOR],
  ])('%s', (_, floor, expected) => {
    expect(mapFloor(floor, THREE)).toEqual(expected);
  });

  it.each([
    ['is there', { timeline: 3, lsn: 2500n }, { timeline: 3, lsn: 2500n }, true],
    ['is not there yet', { timeline: 3, lsn: 2499n }, { timeline: 3, lsn: 2500n }, false],
    ['has the older timeline whole', { timeline: 3, lsn: 2000n }, { timeline: 1, lsn: 5000n }, true],
    ['is still on the shared part of an older timeline', { timeline: 2, lsn: 1800n }, { timeline: 3, lsn: 1700n }, true],
    ['is on the shared part and not far enough', { timeline: 2, lsn: 1800n }, { timeline: 3, lsn: 1900n }, false],
    ['went past the fork on the old timeline: astray', { timeline: 2, lsn: 2001n }, { timeline: 3, lsn: 1900n }, false],
    ['follows a timeline of which nothing is known', { timeline: 9, lsn: 9999n }, { timeline: 3, lsn: 1n }, false],
    ['has not promoted with the floor', { timeline: 3, lsn: 9999n }, { timeline: 4, lsn: 1n }, false],
    ['needs nothing', { timeline: 0, lsn: 0n }, NO_FLOOR, true],
    ['and its old primary agree on the same old timeline', { timeline: 2, lsn: 1900n }, { timeline: 2, lsn: 1900n }, true],
  ])('a server that %s', (_, position, floor, expected) => {
    expect(satisfies(position, floor, THREE)).toBe(expected);
  });

  it('is still told when there is no primary', () => {
    const orphaned = { ...THREE, primary: { kind: 'absent', reason: 'election' } as const };
    expect(mapFloor({ timeline: 2, lsn: 2500n }, orphaned)).toEqual({ timeline: 3, lsn: 2000n });
  });

  const floors = fc.record({ timeline: fc.integer({ min: 1, max: 3 }), lsn: fc.bigInt({ min: 0n, max: 3000n }) });

  it('merges to the stricter one: what satisfies the merged floor satisfies both', () => {
    fc.assert(
      fc.property(floors, floors, floors, (a, b, position) => {
        const merged = mergeFloors(a, b, THREE);
        const both = satisfies(position, mapFloor(a, THREE), THREE) && satisfies(position, mapFloor(b, THREE), THREE);
        expect(satisfies(position, merged, THREE)).toBe(both);
      }),
      { seed: SEED, numRuns: 5000 },
    );
  });

  it('only asks for more of a server as it grows', () => {
    fc.assert(
      fc.property(floors, floors, fc.bigInt({ min: 0n, max: 500n }), (floor, position, more) => {
        const higher: Floor = { timeline: floor.timeline, lsn: floor.lsn + more };
        if (floor.lsn > 0n && satisfies(position, higher, THREE)) expect(satisfies(position, floor, THREE)).toBe(true);
      }),
      { seed: SEED, numRuns: 5000 },
    );
  });
});

describe('tokens', () => {
  it('come back as they went', () => {
    const token = formatToken({ systemIdentifier: '7512345678901234567', floor: { timeline: 3, lsn: 0x1_0000_00ffn } });
    expect(token).toBe('u1:7512345678901234567:3:1/FF');
    expect(readToken(token, '7512345678901234567')).toEqual({ ok: true, floor: { timeline: 3, lsn: 0x1_0000_00ffn } });
  });

  it.each([
    '',
    'u1',
    'u1:7:3:1',
    'u1:7:3:1/G',
    'u2:7:3:1/1',
    ' u1:7:3:1/1',
    'u1:7:-3:1/1',
    'u1:7:99999999999:1/1',
    'u1:7:4294967296:1/1',
    'u1:7:3:123456789/1',
    `u1:7:3:1/1${' '.repeat(200)}`,
  ])('are refused when malformed: %j', text => {
    expect(readToken(text, '7')).toMatchObject({ ok: false, problem: 'malformed' });
  });

  it('are refused by another cluster', () => {
    expect(readToken('u1:7:3:1/1', '8')).toMatchObject({ ok: false, problem: 'other-cluster' });
  });
});
