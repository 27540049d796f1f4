import type { RoutableServer, Topology } from '@understudy/core/routing';
import pg from 'pg';
import { clone } from '../../src/postgres/index.ts';
import { DEFAULT_PROXY_OPTIONS, type ProxyOptions } from '../../src/proxy/options.ts';
import type { ProxyEvent, TopologySource } from '../../src/proxy/ports.ts';
import { ProxyServer } from '../../src/proxy/proxy-server.ts';
import { type Bench, CREDENTIALS, eventually, type Member, openBench, startPrimary } from './postgres-fixture.ts';

/** A topology that the test itself sets. */
export class ManualTopology implements TopologySource {
  readonly #listeners = new Set<(topology: Topology) => void>();
  #topology: Topology;

  constructor(topology: Topology) {
    this.#topology = topology;
  }

  current(): Topology {
    return this.#topology;
  }

  subscribe(listener: (topology: Topology) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  set(topology: Topology): void {
    this.#topology = topology;
    for (const listener of this.#listeners) listener(topology);
  }
}

export function routable(member: Member, timeline = 1): RoutableServer {
  return { id: member.id, host: '127.0.0.1', port: member.spec.settings.port, timeline, weight: 100, zone: null };
}

export function openTopology(
  term: number,
  primary: Member,
  replicas: readonly Member[],
  timeline = 1,
  history: Topology['history'] = [],
): Topology {
  return {
    term,
    primary: { kind: 'open', server: routable(primary, timeline) },
    replicas: replicas.map(r => routable(r, timeline)),
    history,
  };
}

/** A primary with streaming replicas, and a proxy in front of them. */
export interface ProxyBench {
  readonly bench: Bench;
  readonly primary: Member;
  readonly replicas: readonly Member[];
  readonly topology: ManualTopology;
  readonly proxy: ProxyServer;
  readonly port: number;
  readonly events: ProxyEvent[];
  readonly clients: pg.Client[];
  readonly others: ProxyServer[];
  close(): Promise<void>;
}

export interface OpenCluster {
  readonly bench: Bench;
  readonly primary: Member;
  readonly replicas: readonly Member[];
}

export async function openCluster(replicaCount: number): Promise<OpenCluster> {
  const bench = await openBench('embedded');
  const primary = await bench.member('n1');
  await startPrimary(primary);
  const systemId = await primary.server.systemId();
  const addReplica = async (_: unknown, i: number): Promise<Member> => {
    const replica = await bench.member(`n${i + 2}`);
    await clone(replica.spec, {
      source: { host: '127.0.0.1', port: primary.spec.settings.port },
      systemId,
      slotName: `slot_${replica.id}`,
    });
    await startReplica(primary, replica, 1);
    return replica;
  };
  return { bench, primary, replicas: await Promise.all(Array.from({ length: replicaCount }, addReplica)) };
}

export async function startReplica(primary: Member, replica: Member, term: number): Promise<void> {
  const upstream = {
    host: '127.0.0.1',
    port: primary.spec.settings.port,
    applicationName: `${replica.id}_t${term}`,
    slotName: `slot_${replica.id}`,
  };
  await replica.server.start({ role: 'replica', upstream });
  await replica.server.waitUntilReady(20_000);
  await eventually(async () => {
    const seen = await replica.server.observe(2000);
    return seen.kind === 'replica' && seen.receiver?.streaming === true;
  }, `${replica.id} streams`);
}

export function optionsWith(change: Partial<ProxyOptions>): ProxyOptions {
  return {
    ...DEFAULT_PROXY_OPTIONS,
    port: 0,
    router: { user: 'understudy_router', password: CREDENTIALS.router, database: 'postgres' },
    failureDelayMs: 0,
    // Machines that test are slow at times: which server answers must not depend on it.
    freshWaitMs: 5_000,
    ...change,
  };
}

export async function openProxyBench(replicaCount: number, change: Partial<ProxyOptions> = {}): Promise<ProxyBench> {
  return await openProxyOn(await openCluster(replicaCount), change);
}

/** A proxy in front of these servers, which end with it. */
export async function openProxyOn({ bench, primary, replicas }: OpenCluster, change: Partial<ProxyOptions>): Promise<ProxyBench> {
  const topology = new ManualTopology(openTopology(1, primary, replicas));
  const events: ProxyEvent[] = [];
  const proxy = new ProxyServer(optionsWith(change), topology, event => events.push(event));
  const { port } = await proxy.start();
  const clients: pg.Client[] = [];
  const others: ProxyServer[] = [];
  return {
    bench,
    primary,
    replicas,
    topology,
    proxy,
    port,
    events,
    clients,
    others,
    close: async () => {
      await Promise.all(clients.map(client => client.end().catch(() => undefined)));
      await Promise.all(others.map(other => other.stop()));
      await proxy.stop();
      await bench.close();
    },
  };
}

/** Another proxy in front of the same servers; it ends with the bench. */
export async function secondProxy(on: ProxyBench, change: Partial<ProxyOptions>): Promise<ProxyBench> {
  const proxy = new ProxyServer(optionsWith(change), on.topology);
  const { port } = await proxy.start();
  on.others.push(proxy);
  return { ...on, proxy, port };
}

/** A client of the proxy that is ended with the bench. */
export async function client(on: ProxyBench, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const made = new pg.Client({
    host: '127.0.0.1',
    port: on.port,
    user: 'postgres',
    password: CREDENTIALS.superuser,
    database: 'postgres',
    ...config,
  });
  made.on('error', () => undefined);
  await made.connect();
  on.clients.push(made);
  return made;
}

export const lastRoute = async (of: pg.Client): Promise<string> =>
  String((await of.query('SHOW understudy.last_route')).rows[0]?.['understudy.last_route']);
