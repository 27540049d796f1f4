import { addressName, readAddress } from '@understudy/core/routing';
import type { RoutingConfig } from './options.ts';

/** Servers that belong together, and how they are to be used. */
export interface ClusterDefinition extends RoutingConfig {
  /** `host`, `host:port` or connection strings, of which only host and port are taken. */
  readonly servers: readonly string[];
}

interface Defined {
  readonly names: ReadonlySet<string>;
  readonly config: ClusterDefinition;
}

const defined: Defined[] = [];

/**
 * Says which servers belong together, once for the process: each pool and client that names one of them by `host` and `port`, and no `servers`, uses them all.
 * For libraries that make their own clients and hand no further options on. The environment variable `UNDERSTUDY_SERVERS` says the same without code.
 */
export function defineCluster(config: ClusterDefinition): void {
  defined.unshift(toDefined(config));
}

/** What was said of the cluster that the server `host:port` belongs to; null: nothing. */
export function clusterOf(name: string): ClusterDefinition | null {
  const found = defined.find(({ names }) => names.has(name)) ?? fromEnvironment();
  return found?.names.has(name) ? found.config : null;
}

function fromEnvironment(): Defined | null {
  const list = process.env['UNDERSTUDY_SERVERS'];
  return list ? toDefined({ servers: list.split(',').map(text => text.trim()) }) : null;
}

function toDefined(config: ClusterDefinition): Defined {
  return { config, names: new Set(config.servers.map(text => addressName(readAddress(text)))) };
}
