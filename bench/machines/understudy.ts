import pg from 'pg';
import { Machines } from '../../test/machines/machines.ts';
import { primaryOf } from '../../test/support/cluster.ts';
import type { Contender, Inflicted, Phases } from '../failover/contender.ts';
import { phasesOf } from '../failover/phases.ts';
import { inflict, lostBy, type MachineFault, type Scene } from './faults.ts';

/** Three nodes of etcd, three members and two proxies, each on a machine of its own, with the settings that it comes with. */
export class UnderstudyMachines implements Contender<MachineFault> {
  readonly name = 'Understudy';
  #started: Machines | null = null;

  get #machines(): Machines {
    if (this.#started === null) throw new Error('not started');
    return this.#started;
  }

  async start(): Promise<void> {
    this.#started = await Machines.start();
  }

  async whenReady(): Promise<void> {
    await this.#machines.whenStatus('every member in its place', s => s.verdict === 'healthy' && s.durability.cohort.length === 2);
  }

  async connect(): Promise<pg.Client> {
    return await connected({ connectionString: this.#machines.url() });
  }

  async connectToPrimary(): Promise<pg.Client> {
    const { id, port } = primaryOf(await this.#machines.whenHealthy());
    const { password, authority } = this.#machines;
    return await connected({
      host: this.#machines.addressOf(id),
      port,
      user: 'postgres',
      password,
      database: 'postgres',
      ssl: { ca: authority },
    });
  }

  async inflict(fault: MachineFault): Promise<Inflicted> {
    const machines = this.#machines;
    const { network, members } = machines;
    const primary = machines.addressOf(primaryOf(await machines.whenHealthy()).id);
    const replicas = members.filter(each => each !== primary);
    const scene: Scene = { primary, replicas, etcdLeader: await machines.etcdLeader() };
    const atMs = Date.now();
    inflict(network, fault, scene);
    return {
      atMs,
      undo: async () => {
        network.heal(primary);
        for (const address of lostBy(fault, scene)) machines.bringBack(address);
      },
    };
  }

  /** From the records of any member that answers. */
  async phases(faultAtMs: number, writableAtMs: number): Promise<Phases> {
    return phasesOf((await this.#machines.history()).at(-1), faultAtMs, writableAtMs);
  }

  async stop(): Promise<void> {
    await this.#started?.stop();
  }
}

async function connected(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
