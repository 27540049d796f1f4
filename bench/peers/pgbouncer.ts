import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/cluster.ts';
import { startServer, versionOf } from '../lib/servers.ts';
import type { MissingPeer, Peer, PeerSetting } from './peer.ts';

/** Connections to the server that all clients share. Larger pools were slower: two cores do not run more statements at a time. */
const POOL = 20;
/** Since 1.21 a prepared statement survives in transaction mode. */
const PREPARED_SINCE = [1, 21];

/**
 * Transaction mode, SCRAM on both sides, one pool for all clients. It does not split reads from writes, so it stands before the primary. Versions without
 * prepared statements in transaction mode get a session pool for them.
 */
export async function startPgbouncer(setting: PeerSetting): Promise<Peer | MissingPeer> {
  const version = versionOf('pgbouncer');
  if (version === null) return { name: 'pgbouncer', missing: 'apt-get install pgbouncer' };
  const port = await freePort();
  const config = join(setting.directory, 'pgbouncer.ini');
  const users = join(setting.directory, 'pgbouncer-users.txt');
  const { user, password, database } = setting.primary;
  writeFileSync(users, `"${user}" "${password}"\n`);
  writeFileSync(config, configuration(setting, port, users, preparedSupport(version)));
  for (const file of [users, config]) chmodSync(file, 0o644);
  const asRoot = process.getuid?.() === 0 ? ['-u', 'postgres'] : [];
  const log = join(setting.directory, 'pgbouncer.log');
  const server = await startServer('pgbouncer', [...asRoot, config], port, log);
  const named = (name: string): ReturnType<Peer['endpoint']> => ({ host: '127.0.0.1', port, user, password, database: name });
  return {
    name: 'pgbouncer',
    version,
    endpoint: (_work, mode) => named(mode === 'prepared' && !preparedSupport(version) ? 'session' : database),
    pids: () => [server.pid],
    stop: server.stop,
  };
}

function preparedSupport(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > (PREPARED_SINCE[0] as number) || (major === PREPARED_SINCE[0] && minor >= (PREPARED_SINCE[1] as number));
}

function configuration({ primary, maxClients }: PeerSetting, port: number, users: string, prepared: boolean): string {
  return [
    '[databases]',
    `${primary.database} = host=${primary.host} port=${primary.port} dbname=${primary.database}`,
    `session = host=${primary.host} port=${primary.port} dbname=${primary.database} pool_mode=session pool_size=${maxClients}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    `default_pool_size = ${POOL}`,
    `max_client_conn = ${maxClients + 100}`,
    'ignore_startup_parameters = extra_float_digits',
    'listen_backlog = 1024',
    'query_wait_timeout = 60',
    'log_connections = 0',
    'log_disconnections = 0',
    ...(prepared ? ['max_prepared_statements = 200'] : []),
    '',
  ].join('\n');
}
