import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cascadeName, isMemberId, parseFollowName, parseStreamName, streamName } from '../../src/cluster/index.ts';

const memberId = fc.stringMatching(/^[a-z][a-z0-9]{0,15}$/);

test('a stream name tells the member and the term', () => {
  expect(streamName('n2', 7)).toBe('n2_t7');
  fc.assert(
    fc.property(memberId, fc.nat({ max: 999_999_999_999_999 }), (id, term) => {
      const name = streamName(id, term);
      expect(parseStreamName(name)).toEqual({ id, term });
      // PostgreSQL cuts application_name at 63 bytes: a longer one would match nobody.
      expect(name.length).toBeLessThanOrEqual(63);
    }),
    { seed: 3 },
  );
});

test('the name of a cascading replica tells its upstream too, and is no stream name', () => {
  fc.assert(
    fc.property(memberId, fc.nat({ max: 999_999_999_999_999 }), memberId, (id, term, upstream) => {
      const name = cascadeName(id, term, upstream);
      expect(parseFollowName(name)).toEqual({ id, term, upstream: { member: upstream } });
      expect(parseFollowName(streamName(id, term))).toEqual({ id, term, upstream: null });
      expect(parseStreamName(name)).toBeNull();
      expect(name.length).toBeLessThanOrEqual(63);
    }),
    { seed: 3 },
  );
  expect(parseFollowName('n4_t7_from_')).toBeNull();
});

test.each(['', 'n2', 'n2_t', '_t7', 'N2_t7', '2n_t7', 'n2_t7 ', 'n2_t-7', 'n2_tx', 'pg_basebackup', 'n2_t7_t8', 'n_2_t7'])(
  '%j is nobody of ours',
  name => {
    expect(parseStreamName(name)).toBeNull();
  },
);

test.each([
  ['n1', true],
  ['a234567890123456', true],
  ['a2345678901234567', false],
  ['', false],
  ['1n', false],
  ['N1', false],
  ['n-1', false],
  ['n_1', false],
])('%j is a name for a member: %s', (text, is) => {
  expect(isMemberId(text)).toBe(is);
});
