import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/cluster.ts';
import { startServer, versionOf } from '../lib/servers.ts';
import type { MissingPeer, Peer, PeerSetting } from './peer.ts';

/** Transaction pooling with reserved prepared statements, one worker thread a core. It does not split reads from writes. */
export async function startOdyssey(setting: PeerSetting): Promise<Peer | MissingPeer> {
  const version = versionOf('odyssey');
  if (version === null) return { name: 'odyssey', missing: 'build it from github.com/yandex/odyssey; it must be on the PATH' };
  const port = await freePort();
  const { host, user, password, database, port: serverPort } = setting.primary;
  const config = join(setting.directory, 'odyssey.conf');
  writeFileSync(
    config,
    `daemonize no
workers 2
log_to_stdout yes
log_query no
log_session no
listen { host "127.0.0.1" port ${port} backlog 1024 }
storage "server" { type "remote" host "${host}" port ${serverPort} }
database "${database}" {
  user "${user}" {
    authentication "scram-sha-256" password "${password}"
    storage "server" storage_user "${user}" storage_password "${password}"
    pool "transaction" pool_size 20 pool_reserve_prepared_statement yes
  }
}
`,
  );
  const server = await startServer('odyssey', [config], port, join(setting.directory, 'odyssey.log'));
  return {
    name: 'odyssey',
    version,
    endpoint: () => ({ host: '127.0.0.1', port, user, password, database }),
    pids: () => [server.pid],
    stop: server.stop,
  };
}
