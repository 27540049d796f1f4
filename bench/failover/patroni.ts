import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { chooseAccount, giveTo } from '../../packages/server/src/postgres/account.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { freePort } from '../../test/support/cluster.ts';
import { until } from '../../test/support/wait.ts';
import type { Contender, Fault, Inflicted, Phases } from './contender.ts';
import { close, connectToWritable, isComplete } from './patroni-client.ts';
import { patroniConfig, type PatroniNode, type PatroniTimes } from './patroni-config.ts';
import { signal } from './signal.ts';

interface Node extends PatroniNode {
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
      const node = { name, host: '127.0.0.1', port: await freePort(), restPort: await freePort(), directory };
      writeFileSync(join(directory, 'patroni.json'), JSON.stringify(patroniConfig(node, [`127.0.0.1:${client}`], this.#times)));
      this.#nodes.push({ ...node, agent: this.#spawn('patroni', [join(directory, 'patroni.json')], name) });
    }
    await until('a primary', async () => await this.connect().then(close, () => null), 120_000);
  }

  async whenReady(): Promise<void> {
    await until('two replicas, one of them synchronous', () => isComplete(this.#nodes).catch(() => null), 300_000);
  }

  async connect(): Promise<pg.Client> {
    return (await connectToWritable(this.#nodes)).client;
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

  async #primary(): Promise<Node> {
    const { place, client } = await connectToWritable(this.#nodes);
    close(client);
    return place;
  }

  #spawn(program: string, args: readonly string[], log: string): ChildProcess {
    const output = openSync(join(this.#directory, `${log}.log`), 'a');
    const child = spawn(program, args, { ...this.#identity, cwd: this.#directory, stdio: ['ignore', output, output] });
    closeSync(output);
    return child;
  }
}
