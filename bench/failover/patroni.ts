import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { chooseAccount, giveTo } from '../../packages/server/src/postgres/account.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { freePort } from '../../test/support/cluster.ts';
import { until } from '../../test/support/wait.ts';
import type { Contender, Fault, Inflicted, Phases } from './contender.ts';
import { signal } from './signal.ts';

/** Patroni's three times, in seconds. */
export interface PatroniTimes {
  readonly ttl: number;
  readonly loopWait: number;
  readonly retryTimeout: number;
  readonly primaryStartTimeout: number;
}

export const PATRONI_DEFAULTS: PatroniTimes = { ttl: 30, loopWait: 10, retryTimeout: 10, primaryStartTimeout: 300 };
/** As low as its rule loopWait + 2 × retryTimeout ≤ ttl goes; its documentation advises against a ttl below 20. */
export const PATRONI_FLOOR: PatroniTimes = { ttl: 3, loopWait: 1, retryTimeout: 1, primaryStartTimeout: 0 };

const BIN_DIRECTORY = '/usr/lib/postgresql/15/bin';
const PASSWORD = 'bench';
const CONNECT_TIMEOUT_MS = 300;

interface Node {
  readonly name: string;
  readonly port: number;
  readonly restPort: number;
  readonly directory: string;
  agent: ChildProcess;
}

/** Three Patroni members over one etcd, synchronous mode; clients look for the primary themselves, as libpq's target_session_attrs does. */
export class Patroni implements Contender {
  readonly name: string;
  readonly #times: PatroniTimes;
  readonly #directory = mkdtempSync(join(tmpdir(), 'understudy-bench-patroni-'));
  readonly #nodes: Node[] = [];
  #etcd: ChildProcess | null = null;
  #identity: { readonly uid?: number; readonly gid?: number } = {};

  constructor(name: string, times: PatroniTimes) {
    this.name = name;
    this.#times = times;
  }

  async start(): Promise<void> {
    const account = await chooseAccount();
    if (account) this.#identity = { uid: account.uid, gid: account.gid };
    await giveTo(account, this.#directory);
    const [client, peer] = [await freePort(), await freePort()];
    const etcdUrl = `http://127.0.0.1:${client}`;
    const etcdArguments = ['--data-dir', join(this.#directory, 'etcd'), '--name', 'bench', '--listen-client-urls', etcdUrl];
    const peerUrl = `http://127.0.0.1:${peer}`;
    etcdArguments.push('--advertise-client-urls', etcdUrl, '--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl);
    this.#etcd = this.#spawn('etcd', [...etcdArguments, '--initial-cluster', `bench=${peerUrl}`], 'etcd');
    for (const name of ['p1', 'p2', 'p3']) {
      const directory = join(this.#directory, name);
      mkdirSync(directory);
      await giveTo(account, directory);
      const [port, restPort] = [await freePort(), await freePort()];
      writeFileSync(join(directory, 'patroni.json'), JSON.stringify(this.#config(name, port, restPort, directory, client)));
      const agent = this.#spawn('patroni', [join(directory, 'patroni.json')], name);
      this.#nodes.push({ name, port, restPort, directory, agent });
    }
    await until('a primary', async () => await this.connect().then(close, () => null), 120_000);
  }

  async whenReady(): Promise<void> {
    await until('two replicas, one of them synchronous', () => this.#isReady().catch(() => null), 300_000);
  }

  async connect(): Promise<pg.Client> {
    return await Promise.any(this.#nodes.map(node => primaryAt(node.port)));
  }

  async connectToPrimary(): Promise<pg.Client> {
    return await this.connect();
  }

  async inflict(fault: Fault): Promise<Inflicted> {
    const node = await this.#primary();
    const all = (await serverProcesses(join(node.directory, 'data'))).map(process => process.pid);
    const postmaster = (await serverProcesses(join(node.directory, 'data'))).find(process => !all.includes(process.parentPid));
    const atMs = Date.now();
    switch (fault) {
      case 'crash':
        signal('SIGKILL', [postmaster!.pid]);
        return { atMs, undo: async () => undefined };
      case 'loss':
        signal('SIGKILL', [node.agent.pid!, ...all]);
        return {
          atMs,
          undo: async () => {
            node.agent = this.#spawn('patroni', [join(node.directory, 'patroni.json')], node.name);
          },
        };
      case 'hang':
        signal('SIGSTOP', all);
        return { atMs, undo: async () => signal('SIGCONT', all) };
      default:
        return fault satisfies never;
    }
  }

  phases(): Promise<Phases> {
    return Promise.resolve({});
  }

  async stop(): Promise<void> {
    const agents = this.#nodes.map(node => node.agent);
    signal(
      'SIGKILL',
      [...agents, this.#etcd].flatMap(child => child?.pid ?? []),
    );
    for (const { directory } of this.#nodes) {
      signal(
        'SIGKILL',
        (await serverProcesses(join(directory, 'data'))).map(process => process.pid),
      );
    }
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #isReady(): Promise<true | null> {
    const client = await this.connect();
    try {
      const { rows } = await client.query<{ sync_state: string }>("select sync_state from pg_stat_replication where state = 'streaming'");
      return rows.length === 2 && rows.some(row => row.sync_state !== 'async') ? true : null;
    } finally {
      close(client);
    }
  }

  async #primary(): Promise<Node> {
    const found = await Promise.any(this.#nodes.map(async node => ({ node, client: await primaryAt(node.port) })));
    close(found.client);
    return found.node;
  }

  #spawn(program: string, args: readonly string[], log: string): ChildProcess {
    const output = openSync(join(this.#directory, `${log}.log`), 'a');
    const child = spawn(program, args, { ...this.#identity, cwd: this.#directory, stdio: ['ignore', output, output] });
    closeSync(output);
    return child;
  }

  #config(name: string, port: number, restPort: number, directory: string, etcdPort: number): object {
    const { ttl, loopWait, retryTimeout, primaryStartTimeout } = this.#times;
    return {
      scope: 'bench',
      name,
      restapi: { listen: `127.0.0.1:${restPort}`, connect_address: `127.0.0.1:${restPort}` },
      etcd3: { hosts: [`127.0.0.1:${etcdPort}`] },
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
        pg_hba: ['host replication all 127.0.0.1/32 scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256'],
      },
      postgresql: {
        listen: `127.0.0.1:${port}`,
        connect_address: `127.0.0.1:${port}`,
        data_dir: join(directory, 'data'),
        bin_dir: BIN_DIRECTORY,
        pgpass: join(directory, 'pgpass'),
        authentication: {
          superuser: { username: 'postgres', password: PASSWORD },
          replication: { username: 'replicator', password: PASSWORD },
          rewind: { username: 'rewind', password: PASSWORD },
        },
        parameters: { unix_socket_directories: directory },
      },
    };
  }
}

/** Rejects when this server does not answer soon, or takes no writes. */
async function primaryAt(port: number): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    password: PASSWORD,
    database: 'postgres',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ standby: boolean }>('select pg_is_in_recovery() as standby');
  if (rows[0]?.standby === false) return client;
  close(client);
  throw new Error('a standby');
}

function close(client: pg.Client): true {
  client.end().catch(() => undefined);
  return true;
}
