import { join } from 'node:path';

/** Patroni's three times, and how long a primary may take to start, in seconds. */
export interface PatroniTimes {
  readonly ttl: number;
  readonly loopWait: number;
  readonly retryTimeout: number;
  readonly primaryStartTimeout: number;
}

export const PATRONI_DEFAULTS: PatroniTimes = { ttl: 30, loopWait: 10, retryTimeout: 10, primaryStartTimeout: 300 };
/** As low as its rule loopWait + 2 × retryTimeout ≤ ttl goes; its documentation advises against a ttl below 20. */
export const PATRONI_FLOOR: PatroniTimes = { ttl: 3, loopWait: 1, retryTimeout: 1, primaryStartTimeout: 0 };

/**
 * The same where a machine may be silent: its members ask each other by HTTP before one takes the lock, and wait two seconds for one that does not answer. With
 * a retryTimeout below that nobody is ever elected (`DCS is not accessible`, over and over; seen with 3.0.2).
 */
export const PATRONI_MACHINES_FLOOR: PatroniTimes = { ttl: 7, loopWait: 1, retryTimeout: 3, primaryStartTimeout: 0 };

export const PATRONI_PASSWORD = 'bench';
const BIN_DIRECTORY = '/usr/lib/postgresql/15/bin';

/** One member, and where it lies. */
export interface PatroniNode {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly restPort: number;
  readonly directory: string;
}

/** The configuration file of one member: three of them, synchronous mode, replicas that rewind. `etcd`: host:port of each node. */
export function patroniConfig(node: PatroniNode, etcd: readonly string[], times: PatroniTimes): object {
  const { name, host, port, restPort, directory } = node;
  const { ttl, loopWait, retryTimeout, primaryStartTimeout } = times;
  return {
    scope: 'bench',
    name,
    restapi: { listen: `${host}:${restPort}`, connect_address: `${host}:${restPort}` },
    etcd3: { hosts: etcd },
    bootstrap: {
      dcs: {
        ttl,
        loop_wait: loopWait,
        retry_timeout: retryTimeout,
        primary_start_timeout: primaryStartTimeout,
        master_start_timeout: primaryStartTimeout,
        synchronous_mode: true,
        postgresql: { use_pg_rewind: true, use_slots: true, parameters: { wal_log_hints: 'on', max_connections: 100 } },
      },
      initdb: [{ encoding: 'UTF8' }, 'data-checksums'],
      pg_hba: ['host replication all all scram-sha-256', 'host all all all scram-sha-256'],
    },
    postgresql: {
      listen: `${host}:${port}`,
      connect_address: `${host}:${port}`,
      data_dir: join(directory, 'data'),
      bin_dir: BIN_DIRECTORY,
      pgpass: join(directory, 'pgpass'),
      authentication: {
        superuser: { username: 'postgres', password: PATRONI_PASSWORD },
        replication: { username: 'replicator', password: PATRONI_PASSWORD },
        rewind: { username: 'rewind', password: PATRONI_PASSWORD },
      },
      parameters: { unix_socket_directories: directory },
    },
  };
}
