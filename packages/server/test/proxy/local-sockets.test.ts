import type { RoutableServer, Topology } from '@understudy/core/routing';
import { expect, test } from 'vitest';
import { withSockets } from '../../src/proxy/local-sockets.ts';

const server = (id: string, port: number): RoutableServer => ({ id, host: '127.0.0.1', port, timeline: 1, weight: 100, zone: null });
const topology = (primary: Topology['primary']): Topology => ({ term: 1, primary, replicas: [server('n2', 5434)], history: [] });

test('each server is reached by the socket in the directory of its member', () => {
  const seen = withSockets(topology({ kind: 'open', server: server('n1', 5433) }), '/data/members');
  expect(seen.primary).toMatchObject({ kind: 'open', server: { id: 'n1', socket: '/data/members/n1/.s.PGSQL.5433' } });
  expect(seen.replicas).toMatchObject([{ host: '127.0.0.1', port: 5434, socket: '/data/members/n2/.s.PGSQL.5434' }]);
});

test('so is one that is being promoted', () => {
  const seen = withSockets(topology({ kind: 'absent', reason: 'an election', next: server('n2', 5434) }), '/data/members');
  expect(seen.primary).toEqual({
    kind: 'absent',
    reason: 'an election',
    next: { ...server('n2', 5434), socket: '/data/members/n2/.s.PGSQL.5434' },
  });
});

test('a path that is too long leaves the address', () => {
  expect(withSockets(topology({ kind: 'absent', reason: '' }), `/${'d'.repeat(200)}`)).toEqual(topology({ kind: 'absent', reason: '' }));
});
