import { join } from 'node:path';
import type { RoutableServer, Topology } from '@understudy/core/routing';
import { socketPath } from '../postgres/socket.ts';

/**
 * The topology with the Unix sockets of servers on this machine, whose members keep their things in folders of `membersDirectory`. What a server and a router
 * say to each other costs both of them much less that way (docs/performance.md).
 */
export function withSockets(topology: Topology, membersDirectory: string): Topology {
  const local = (server: RoutableServer): RoutableServer => {
    const socket = socketPath(join(membersDirectory, server.id), server.port);
    return socket === null ? server : { ...server, socket };
  };
  const { primary, replicas } = topology;
  return { ...topology, primary: onPrimary(primary, local), replicas: replicas.map(local) };
}

function onPrimary(primary: Topology['primary'], local: (server: RoutableServer) => RoutableServer): Topology['primary'] {
  if (primary.kind !== 'absent') return { ...primary, server: local(primary.server) };
  const { last, next } = primary;
  return { ...primary, ...(last ? { last: local(last) } : {}), ...(next ? { next: local(next) } : {}) };
}
