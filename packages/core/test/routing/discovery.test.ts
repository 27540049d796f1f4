import { describe, expect, it } from 'vitest';
import {
  addressName,
  Discovery,
  patroniMembers,
  type PrimaryState,
  readAddress,
  readAddresses,
  readRole,
  type SelfReport,
} from '../../src/routing/index.ts';

const SERVERS = [readAddress('a'), readAddress('b'), readAddress('c:5433')];
const [A, B, C] = SERVERS.map(addressName) as [string, string, string];

const primary = (timeline: number, systemIdentifier: string | null = '7'): SelfReport => ({ role: 'primary', timeline, systemIdentifier });
const replica = (timeline: number, systemIdentifier: string | null = '7'): SelfReport => ({ role: 'replica', timeline, systemIdentifier });
const nameOf = (state: PrimaryState): string => (state.kind === 'absent' ? `none: ${state.reason}` : state.server.id);

describe('the topology of servers that tell their roles', () => {
  it('has the primary and its replicas once they have spoken; who cannot be reached is in neither', () => {
    const found = new Discovery(SERVERS);
    expect(nameOf(found.topology.primary)).toBe('none: no server has answered yet');
    found.report(A, primary(1));
    found.report(B, replica(1));
    found.report(C, null);
    expect(nameOf(found.topology.primary)).toBe(A);
    expect(found.topology.replicas.map(({ id }) => id)).toEqual([B]);
    expect(found.topology.term).toBe(1);
  });

  it('says of a report that changes nothing that it changes nothing', () => {
    const found = new Discovery(SERVERS);
    expect(found.report(A, primary(1))).toBe(true);
    expect(found.report(A, primary(1))).toBe(false);
    expect(found.setAddresses(SERVERS)).toBe(false);
  });

  it('takes a promotion for a new term at once, and the old primary for none when it comes back', () => {
    const found = new Discovery(SERVERS);
    found.report(A, primary(1));
    found.report(B, replica(1));
    // The old one has not been missed yet.
    found.report(B, primary(2));
    expect(nameOf(found.topology.primary)).toBe(B);
    expect(found.topology.term).toBe(2);
    found.report(A, null);
    found.report(B, null);
    found.report(A, primary(1));
    expect(nameOf(found.topology.primary)).toMatch(/^none: a:5432 says that it is one, on timeline 1, but timeline 2/);
    found.report(B, primary(2));
    expect(nameOf(found.topology.primary)).toBe(B);
    expect(found.topology.term).toBe(2);
  });

  it('keeps the primary that it has when another one claims the same timeline', () => {
    const found = new Discovery(SERVERS);
    found.report(B, primary(3));
    found.report(A, primary(3));
    expect(nameOf(found.topology.primary)).toBe(B);
  });

  it('leaves out replicas of another cluster', () => {
    const found = new Discovery(SERVERS);
    found.report(A, primary(1));
    found.report(B, replica(1, '8'));
    found.report(C, replica(1, null));
    expect(found.topology.replicas.map(({ id }) => id)).toEqual([C]);
  });

  it('forgets a server that is not among those to ask any more', () => {
    const found = new Discovery(SERVERS);
    found.report(A, primary(1));
    found.report(B, replica(1));
    found.setAddresses([SERVERS[0] as never]);
    expect(found.topology.replicas).toEqual([]);
    found.setAddresses(SERVERS);
    expect(found.topology.replicas).toEqual([]);
  });
});

describe('what a server says of itself', () => {
  it('is its role, its position and its timeline', () => {
    expect(readRole(['t', '0/3000060', '2'])).toEqual({ role: 'replica', lsn: 0x3000060n, timeline: 2 });
    expect(readRole(['f', '1/0', '3'])).toEqual({ role: 'primary', lsn: 0x1_0000_0000n, timeline: 3 });
    expect(readRole(['t', '0/3000060', null])).toMatchObject({ timeline: 0 });
    expect(readRole(['t', null, null])).toBeNull();
  });
});

describe('addresses', () => {
  it.each([
    ['db1', { host: 'db1', port: 5432 }],
    ['db1:6543', { host: 'db1', port: 6543 }],
    ['[::1]:6543', { host: '::1', port: 6543 }],
    ['postgres://app:secret@db1:6543/shop?x=1', { host: 'db1', port: 6543 }],
  ])('%s is one', (text, address) => {
    expect(readAddress(text)).toEqual(address);
  });

  it.each(['', 'db1:', 'db1:0', 'db1:70000', 'db 1', 'a:1:2', 'postgres://a,b/db'])('"%s" is none', text => {
    expect(() => readAddress(text)).toThrow(/is not host, host:port/);
  });

  it('a list has each server once', () => {
    expect(readAddresses('db1, db2:5433,db1:5432').map(addressName)).toEqual(['db1:5432', 'db2:5433']);
    expect(() => readAddresses('db1,,db2')).toThrow(/"" is not/);
  });

  it("Patroni's members have them; what is no answer of Patroni's has none", () => {
    const answer = { members: [{ host: '10.0.0.1', port: 5432 }, { host: '10.0.0.2', port: '5433' }, { name: 'no address' }] };
    expect(patroniMembers(answer).map(addressName)).toEqual(['10.0.0.1:5432', '10.0.0.2:5433']);
    for (const none of [null, [], 'text', {}, { members: 3 }]) expect(patroniMembers(none)).toEqual([]);
  });
});
