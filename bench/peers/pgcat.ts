import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/cluster.ts';
import { startServer, versionOf } from '../lib/servers.ts';
import type { Endpoint, MissingPeer, Peer, PeerSetting } from './peer.ts';

/** Transaction pooling with its parser on, so that reads go to the replicas. */
export async function startPgcat(setting: PeerSetting): Promise<Peer | MissingPeer> {
  const version = versionOf('pgcat');
  if (version === null) return { name: 'pgcat', missing: 'build it from github.com/postgresml/pgcat; it must be on the PATH' };
  const port = await freePort();
  const { user, password, database } = setting.primary;
  const config = join(setting.directory, 'pgcat.toml');
  const server = (to: Endpoint, role: string): string => `["${to.host}", ${to.port}, "${role}"]`;
  const servers = [server(setting.primary, 'primary'), ...setting.replicas.map(replica => server(replica, 'replica'))];
  writeFileSync(
    config,
    `[general]
host = "127.0.0.1"
port = ${port}
worker_threads = 2
prepared_statements_cache_size = 500
admin_username = "admin"
admin_password = "${password}"
[pools.${database}]
pool_mode = "transaction"
default_role = "any"
query_parser_enabled = true
query_parser_read_write_splitting = true
primary_reads_enabled = false
[pools.${database}.users.0]
username = "${user}"
password = "${password}"
pool_size = 20
[pools.${database}.shards.0]
servers = [${servers.join(', ')}]
database = "${database}"
`,
  );
  const running = await startServer('pgcat', [config], port, join(setting.directory, 'pgcat.log'));
  return {
    name: 'pgcat',
    version,
    endpoint: () => ({ host: '127.0.0.1', port, user, password, database }),
    pids: () => [running.pid],
    stop: running.stop,
  };
}
