import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/support/cluster.ts';
import { startServer, versionOf } from '../lib/servers.ts';
import type { MissingPeer, Peer, PeerSetting } from './peer.ts';

/** Pgpool has one process for each client; more than these are not started. */
const MAX_PROCESSES = 600;

/** Streaming-replication mode: reads are balanced over the replicas statement by statement, writes go to the primary. */
export async function startPgpool(setting: PeerSetting): Promise<Peer | MissingPeer> {
  const version = versionOf('pgpool');
  if (version === null) return { name: 'pgpool', missing: 'apt-get install pgpool2' };
  const directory = join(setting.directory, 'pgpool');
  mkdirSync(directory, { recursive: true });
  const [port, controlPort] = [await freePort(), await freePort()];
  const { user, password, database } = setting.primary;
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  file('pool_passwd', `${user}:TEXT${password}\n`);
  const access = file('pool_hba.conf', 'host all all 127.0.0.1/32 scram-sha-256\n');
  const control = file('pcp.conf', '');
  const config = file('pgpool.conf', configuration(setting, port, controlPort, directory));
  const args = ['-n', '-f', config, '-a', access, '-F', control];
  const server = await startServer('pgpool', args, port, join(setting.directory, 'pgpool.log'));
  const processes = Math.min(setting.maxClients + 4, MAX_PROCESSES);
  return {
    name: 'pgpool',
    version,
    endpoint: () =>
      setting.maxClients > processes ? { cannot: 'one process for each client' } : { host: '127.0.0.1', port, user, password, database },
    pids: () => [server.pid],
    stop: server.stop,
  };
}

function configuration({ primary, replicas, maxClients }: PeerSetting, port: number, controlPort: number, directory: string): string {
  const backends = [primary, ...replicas].flatMap((server, i) => [
    `backend_hostname${i} = '${server.host}'`,
    `backend_port${i} = ${server.port}`,
    `backend_weight${i} = ${i === 0 ? 0 : 1}`,
    `backend_flag${i} = '${i === 0 ? 'ALWAYS_PRIMARY|DISALLOW_TO_FAILOVER' : 'DISALLOW_TO_FAILOVER'}'`,
  ]);
  return [
    "backend_clustering_mode = 'streaming_replication'",
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    `socket_dir = '${directory}'`,
    `pcp_socket_dir = '${directory}'`,
    "pcp_listen_addresses = '127.0.0.1'",
    `pcp_port = ${controlPort}`,
    `pid_file_name = '${join(directory, 'pgpool.pid')}'`,
    `logdir = '${directory}'`,
    ...backends,
    'enable_pool_hba = on',
    "pool_passwd = 'pool_passwd'",
    `num_init_children = ${Math.min(maxClients + 4, MAX_PROCESSES)}`,
    'listen_backlog_multiplier = 2',
    'max_pool = 1',
    'connection_cache = on',
    'load_balance_mode = on',
    'statement_level_load_balance = on',
    "disable_load_balance_on_write = 'transaction'",
    'sr_check_period = 0',
    'health_check_period = 0',
    `sr_check_user = '${primary.user}'`,
    `sr_check_password = '${primary.password}'`,
    'log_statement = off',
    "log_min_messages = 'error'",
    '',
  ].join('\n');
}
