import { join } from 'node:path';
import pg from 'pg';
import type { TermRecord } from '../../packages/core/src/cluster/state.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { Cluster, primaryOf } from '../../test/support/cluster.ts';
import type { Contender, Fault, Inflicted, Phases } from './contender.ts';
import { phasesOf } from './phases.ts';
import { signal } from './signal.ts';

/** Understudy as it comes: durability quorum, two replicas; clients go through its router. */
export class Understudy implements Contender {
  readonly name = 'Understudy';
  #cluster: Cluster | null = null;

  get #running(): Cluster {
    if (this.#cluster === null) throw new Error('not started');
    return this.#cluster;
  }

  async start(): Promise<void> {
    this.#cluster = await Cluster.start();
  }

  async whenReady(): Promise<void> {
    await this.#running.whenStatus('every member in its place', s => s.verdict === 'healthy' && s.durability.cohort.length === 2);
  }

  async connect(): Promise<pg.Client> {
    return await connected(this.#running.url);
  }

  async connectToPrimary(): Promise<pg.Client> {
    const primary = primaryOf(await this.#running.status());
    const url = new URL(this.#running.url);
    url.port = String(primary.port);
    return await connected(url.href);
  }

  async inflict(fault: Fault): Promise<Inflicted> {
    const primary = primaryOf(await this.#running.status());
    const processes = await serverProcesses(join(this.#running.data, 'members', primary.id, 'data'));
    const all = processes.map(process => process.pid);
    const atMs = Date.now();
    switch (fault) {
      case 'crash':
        signal('SIGKILL', [primary.postmasterPid!]);
        return { atMs, undo: async () => undefined };
      case 'loss':
        signal('SIGKILL', [primary.agentPid!, ...all]);
        return { atMs, undo: async () => undefined };
      case 'hang':
        signal('SIGSTOP', all);
        return { atMs, undo: async () => signal('SIGCONT', all) };
      default:
        return fault satisfies never;
    }
  }

  async phases(faultAtMs: number, writableAtMs: number): Promise<Phases> {
    const response = await fetch(`http://127.0.0.1:${this.#running.httpPort}/history`);
    const { terms } = (await response.json()) as { terms: TermRecord[] };
    return phasesOf(terms.at(-1), faultAtMs, writableAtMs);
  }

  async stop(): Promise<void> {
    await this.#cluster?.destroy();
  }
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
