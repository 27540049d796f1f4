import { mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { chooseAccount, giveTo } from '../../packages/server/src/postgres/account.ts';
import { Network } from '../../test/machines/network.ts';
import { etcdLeader } from '../../test/machines/etcd-leader.ts';
import { until } from '../../test/support/wait.ts';
import type { Contender, Inflicted, Phases } from '../failover/contender.ts';
import { close, connectToWritable, isComplete } from '../failover/patroni-client.ts';
import { patroniConfig, type PatroniNode, type PatroniTimes } from '../failover/patroni-config.ts';
import { inflict, lostBy, type MachineFault, type Scene } from './faults.ts';

/** Three nodes of etcd and three members of Patroni, each on a machine of its own, synchronous mode; clients look for the primary themselves. */
export class PatroniMachines implements Contender<MachineFault> {
  readonly name: string;
  readonly #times: PatroniTimes;
  readonly #network = new Network();
  readonly #etcd = [11, 12, 13].map(n => this.#network.address(n));
  readonly #nodes: readonly PatroniNode[] = [21, 22, 23].map(n => ({
    name: `p${n - 20}`,
    host: this.#network.address(n),
    port: 5433,
    restPort: 8008,
    directory: join(this.#network.directory, `p${n - 20}`),
  }));
  /** What a program is started with so that it is not root's. */
  #asAccount: readonly string[] = [];

  constructor(name: string, times: PatroniTimes) {
    this.name = name;
    this.#times = times;
  }

  async start(): Promise<void> {
    const account = await chooseAccount();
    if (account) this.#asAccount = ['setpriv', `--reuid=${account.uid}`, `--regid=${account.gid}`, '--clear-groups'];
    for (const host of this.#etcd) {
      this.#network.add(host);
      this.#startEtcd(host);
    }
    for (const node of this.#nodes) {
      mkdirSync(node.directory);
      await giveTo(account, node.directory);
      const config = patroniConfig(
        node,
        this.#etcd.map(host => `${host}:2379`),
        this.#times,
      );
      writeFileSync(fileOf(node), JSON.stringify(config));
      this.#network.add(node.host);
      this.#startMember(node);
    }
    await until('a primary', async () => await this.connect().then(close, () => null), 120_000);
  }

  async whenReady(): Promise<void> {
    await until('two replicas, one of them synchronous', () => isComplete(this.#nodes).catch(() => null), 300_000);
    await until('a synchronous replica in the store', () => this.#hasSuccessor().catch(() => null), 300_000);
  }

  /** PostgreSQL waits for a replica before etcd says that it may be promoted: a primary that is lost in between is replaced by nobody. */
  async #hasSuccessor(): Promise<true | null> {
    const asked = this.#nodes.map(({ host, restPort }) =>
      fetch(`http://${host}:${restPort}/cluster`, { signal: AbortSignal.timeout(2000) }),
    );
    const { members } = (await (await Promise.any(asked)).json()) as { members: readonly { role: string }[] };
    return members.some(({ role }) => role === 'sync_standby') ? true : null;
  }

  async connect(): Promise<pg.Client> {
    return (await connectToWritable(this.#nodes)).client;
  }

  async connectToPrimary(): Promise<pg.Client> {
    return await this.connect();
  }

  async inflict(fault: MachineFault): Promise<Inflicted> {
    const { place, client } = await connectToWritable(this.#nodes);
    close(client);
    const replicas = this.#nodes.filter(node => node !== place).map(({ host }) => host);
    const scene: Scene = { primary: place.host, replicas, etcdLeader: await etcdLeader(this.#etcd, null) };
    const atMs = Date.now();
    inflict(this.#network, fault, scene);
    return {
      atMs,
      undo: async () => {
        this.#network.heal(place.host);
        for (const host of lostBy(fault, scene)) {
          this.#network.heal(host);
          if (host === place.host) this.#startMember(place);
          else this.#startEtcd(host);
        }
      },
    };
  }

  phases(): Promise<Phases> {
    return Promise.resolve({});
  }

  async stop(): Promise<void> {
    await this.#network.remove();
  }

  #startEtcd(host: string): void {
    const name = nameOf(this.#etcd, host);
    this.#spawn(host, ['etcd', ...etcdArguments(name, host, this.#etcd, join(this.#network.directory, name))]);
  }

  #startMember(node: PatroniNode): void {
    this.#spawn(node.host, [...this.#asAccount, 'patroni', fileOf(node)]);
  }

  #spawn(host: string, command: readonly string[]): void {
    const { directory } = this.#network;
    this.#network.spawn(host, command, { cwd: directory, log: openSync(join(directory, `${host}.log`), 'a') });
  }
}

function fileOf({ directory }: PatroniNode): string {
  return join(directory, 'patroni.json');
}

const nameOf = (etcd: readonly string[], host: string): string => `e${etcd.indexOf(host) + 1}`;

function etcdArguments(name: string, host: string, all: readonly string[], directory: string): readonly string[] {
  const [client, peer] = [`http://${host}:2379`, `http://${host}:2380`];
  const cluster = all.map(each => `${nameOf(all, each)}=http://${each}:2380`).join(',');
  return [
    '--name',
    name,
    '--data-dir',
    directory,
    '--initial-cluster',
    cluster,
    '--listen-client-urls',
    client,
    '--advertise-client-urls',
    client,
    '--listen-peer-urls',
    peer,
    '--initial-advertise-peer-urls',
    peer,
  ];
}
