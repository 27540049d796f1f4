import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/cluster.ts';
import { startServer, versionOf } from '../lib/servers.ts';
import type { Endpoint, MissingPeer, Peer, PeerSetting } from './peer.ts';

/** TCP mode with two ports, as it is set up beside Patroni: one for the primary, one that balances connections over the replicas. */
export async function startHaproxy(setting: PeerSetting): Promise<Peer | MissingPeer> {
  const version = versionOf('haproxy', '-v');
  if (version === null) return { name: 'haproxy', missing: 'apt-get install haproxy' };
  const [writes, reads] = [await freePort(), await freePort()];
  const config = join(setting.directory, 'haproxy.cfg');
  writeFileSync(config, configuration(setting, writes, reads));
  const server = await startServer('haproxy', ['-db', '-f', config], reads, join(setting.directory, 'haproxy.log'));
  return {
    name: 'haproxy',
    version,
    endpoint: work => ({ ...setting.primary, host: '127.0.0.1', port: work === 'read' ? reads : writes }),
    pids: () => [server.pid],
    stop: server.stop,
  };
}

function configuration({ primary, replicas, maxClients }: PeerSetting, writes: number, reads: number): string {
  const listen = (name: string, port: number, servers: readonly Endpoint[]): string[] => [
    `listen ${name}`,
    `  bind 127.0.0.1:${port}`,
    '  balance leastconn',
    ...servers.map((server, i) => `  server s${i} ${server.host}:${server.port}`),
  ];
  return [
    'global',
    `  maxconn ${maxClients * 2 + 200}`,
    'defaults',
    '  mode tcp',
    '  option tcp-smart-connect',
    '  timeout connect 5s',
    '  timeout client 10m',
    '  timeout server 10m',
    ...listen('primary', writes, [primary]),
    ...listen('replicas', reads, replicas),
    '',
  ].join('\n');
}
