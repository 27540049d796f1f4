import { type Bench, CREDENTIALS, type Member } from '../../../server/test/integration/postgres-fixture.ts';
import { openCluster, type OpenCluster } from '../../../server/test/integration/proxy-fixture.ts';
import { Pool, type PoolConfig, type RouteInfo } from '../../src/index.ts';

/** A plain primary with streaming replicas, that no Understudy watches over, and the means to make pools on it. */
export interface ClientBench {
  readonly bench: Bench;
  readonly primary: Member;
  readonly replicas: readonly Member[];
  /** Connection string that names all servers. */
  readonly url: string;
  pool(config?: PoolConfig): RoutedPool;
  close(): Promise<void>;
}

/** A pool that remembers where its statements went. */
export class RoutedPool extends Pool {
  readonly seen: RouteInfo[] = [];

  constructor(config: PoolConfig) {
    super(config);
    this.on('error', () => undefined);
    this.on('route', info => this.seen.push(info));
  }

  get last(): RouteInfo | undefined {
    return this.seen.at(-1);
  }
}

export const addressOf = (member: Member): string => `127.0.0.1:${member.spec.settings.port}`;

export async function openClientBench(replicaCount: number): Promise<ClientBench> {
  return clientBenchOn(await openCluster(replicaCount));
}

/** These servers end with it. */
export function clientBenchOn({ bench, primary, replicas }: OpenCluster): ClientBench {
  const hosts = [...replicas, primary].map(addressOf).join(',');
  const url = `postgres://postgres:${encodeURIComponent(CREDENTIALS.superuser)}@${hosts}/postgres`;
  const pools: RoutedPool[] = [];
  return {
    bench,
    primary,
    replicas,
    url,
    pool: config => {
      // Machines that test are slow at times: which server answers must not depend on it.
      const made = new RoutedPool({ connectionString: url, freshWaitMs: 5_000, max: 5, ...config });
      pools.push(made);
      return made;
    },
    close: async () => {
      await Promise.all(pools.map(pool => (pool.ended ? undefined : pool.end())));
      await bench.close();
    },
  };
}
