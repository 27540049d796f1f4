import { describe, expect, test } from 'vitest';
import {
  addressText,
  eventsOfChange,
  parseFollowName,
  parseSource,
  parseStreamName,
  sourceText,
  standbySlotName,
  standbyStreamName,
} from '../../src/cluster/index.ts';
import { decodeState, encodeState } from '../../src/cluster/state-text.ts';
import { parseClusterState } from '../../src/cluster/state-schema.ts';
import { stateOf } from '../failover/view-builder.ts';

const parsed = (text: string) => {
  const result = parseSource(text);
  if (!result.ok) throw new Error(result.why);
  return result.source;
};
const fault = (text: string): string | null => {
  const result = parseSource(text);
  return result.ok ? null : result.why;
};

describe('where the source is', () => {
  test('is a connection string with one port for all hosts, or one for each', () => {
    expect(parsed('host=10.1.0.1,10.1.0.2 port=5433')).toEqual({
      hosts: [
        { host: '10.1.0.1', port: 5433 },
        { host: '10.1.0.2', port: 5433 },
      ],
      user: null,
      tls: null,
    });
    expect(parsed('host=a,b port=1,2').hosts).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 2 },
    ]);
    expect(parsed('host=a').hosts).toEqual([{ host: 'a', port: 5432 }]);
    expect(parsed("  user = 'o\\'neill'   host='a'  ")).toMatchObject({ user: "o'neill", hosts: [{ host: 'a', port: 5432 }] });
  });

  test('says how the connection is secured', () => {
    expect(parsed('host=a sslmode=verify-full sslrootcert=/ca.crt sslcert=/m.crt sslkey=/m.key').tls).toEqual({
      mode: 'verify-full',
      rootCert: '/ca.crt',
      cert: '/m.crt',
      key: '/m.key',
    });
    expect(parsed('host=a sslmode=disable').tls).toMatchObject({ mode: 'disable' });
  });

  test.each([
    ['', 'must be a connection string'],
    ['10.1.0.1', 'must be a connection string'],
    ['host=a, b', 'must be a connection string'],
    ['port=5432', 'must name one host or more'],
    ['host=a,,b', 'must name one host or more'],
    ['host=/var/run', 'must name one host or more'],
    ['host=a,b port=1,2,3', 'must name one port, or as many as hosts'],
    ['host=a port=0', 'ports from 1 to 65535'],
    ['host=a,a', 'must not name a server twice'],
    [`host=${Array.from({ length: 17 }, (_, i) => `h${i}`).join(',')}`, 'must not name more than 16 hosts'],
    ['host=a password=secret', 'must not hold a password'],
    ['host=a dbname=x', 'must not set dbname'],
    ['host=a sslmode=prefer', 'sslmode must be one of'],
    ['host=a sslmode=verify-ca', 'must name sslrootcert'],
    ['host=a sslrootcert=/ca.crt', 'must say sslmode'],
    ['host=a sslmode=require sslcert=/m.crt', 'must name both sslcert and sslkey'],
  ])('%j is refused', (text, why) => expect(fault(text)).toContain(why));

  test('is told to people', () => {
    expect(addressText({ host: '::1', port: 1 })).toBe('[::1]:1');
    expect(sourceText(parsed('host=a,b'))).toBe('a:5432, b:5432');
  });
});

test('what a standby leader is called at the source is never taken for a member that acknowledges there', () => {
  const name = standbyStreamName('n1', 7);
  expect(parseStreamName(name)).toBeNull();
  expect(parseFollowName(name)).toEqual({ id: 'n1', term: 7, upstream: 'source' });
  // Slots of members begin so, and a source drops those of members that it does not know.
  expect(standbySlotName('eu-west')).toBe('standby_eu_west');
});

test('the state keeps its source, and one of an earlier release has none', () => {
  const standby = { source: parsed('host=a sslmode=disable'), sinceMs: 5 };
  const state = stateOf({ standby });
  expect(parseClusterState(decodeState(encodeState(state)))).toEqual(state);
  expect(parseClusterState(stateOf()).standby ?? null).toBeNull();
});

test('a leader that changes, a promotion and a demotion are told', () => {
  const cause = { by: 'n1', atMs: 0, reason: 'so', inputs: {} };
  const before = stateOf({ standby: { source: parsed('host=a'), sinceMs: 0 } });
  const kinds = (a: Parameters<typeof eventsOfChange>[0], b: typeof a) => eventsOfChange(a, b, cause).map(({ kind }) => kind);
  expect(kinds(before, { ...before, rule: { ...before.rule!, term: 8, primary: 'n2', cohort: [], acks: 0 } })).toEqual([
    'standby-leader-changed',
  ]);
  // The term that it takes is one that nobody leads.
  expect(kinds(before, { ...before, standby: null, rule: { ...before.rule!, term: 8 } })).toEqual(['cluster-promoted']);
  expect(kinds(stateOf(), before)).toEqual(['cluster-demoted']);
});
