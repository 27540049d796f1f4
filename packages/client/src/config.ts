import { type Address, addressName, DEFAULT_PORT, readAddress, type ReadPolicy, URL_PARTS } from '@understudy/core/routing';
import type { ConsistencyWish } from '@understudy/core/sql';
import pg from 'pg';
import { parse as parseConnectionString } from 'pg-connection-string';
import type { ApiTransport } from './topology/http.ts';
import { clusterOf } from './clusters.ts';
import type { PoolConfig, RoutingConfig } from './options.ts';

/** Where the topology comes from. */
export type SourceConfig =
  | { readonly kind: 'ask-servers'; readonly addresses: readonly Address[] }
  | { readonly kind: 'patroni'; readonly apis: readonly Address[] }
  | { readonly kind: 'understudy'; readonly apis: readonly Address[]; readonly transport: ApiTransport };

/** All that a router needs, with the defaults filled in. */
export interface RouterConfig {
  readonly source: SourceConfig;
  /** pg's options of a connection, without host and port. */
  readonly base: pg.ClientConfig;
  readonly consistency: ConsistencyWish;
  readonly maxLagMs: number;
  readonly freshWaitMs: number;
  readonly onStale: ReadPolicy['onStale'];
  readonly readsOnPrimary: 'never' | 'fallback';
  readonly holdTimeoutMs: number;
  readonly maxHeld: number;
  readonly idleTimeoutMs: number;
  readonly lanes: boolean;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

const OWN_KEYS: ReadonlySet<string> = new Set<keyof RoutingConfig>([
  'servers',
  'consistency',
  'maxLagMs',
  'freshWaitMs',
  'onStale',
  'readsOnPrimary',
  'holdTimeoutMs',
  'lanes',
  'maxHeld',
  'functions',
]);
/** What only a pool needs; a connection of two pools is the same without. */
const POOL_KEYS: ReadonlySet<string> = new Set([
  'max',
  'min',
  'poolSize',
  'maxUses',
  'idleTimeoutMillis',
  'allowExitOnIdle',
  'maxLifetimeSeconds',
  'log',
  'verify',
  'onConnect',
  'Promise',
  'Client',
]);
/** A server that is gone for good must not be waited for. */
const CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_API_PORT = 8008;

/** Reads the options of a pool or client. Throws TypeError for what cannot be meant. */
export function routerConfig(config: PoolConfig): RouterConfig {
  const { scheme, addresses, base } = readConnection(config);
  const [only] = addresses;
  const known = scheme === 'postgres' && addresses.length === 1 && only && !config.servers ? clusterOf(addressName(only)) : null;
  const given = <K extends keyof RoutingConfig>(key: K): RoutingConfig[K] | undefined => config[key] ?? known?.[key];
  const extra = (given('servers') ?? []).map(text => readAddress(text));
  return {
    source: sourceOf(scheme, [...addresses, ...extra], base),
    base,
    consistency: given('consistency') ?? 'strong',
    maxLagMs: given('maxLagMs') ?? 1_000,
    freshWaitMs: given('freshWaitMs') ?? 20,
    onStale: given('onStale') ?? 'wait',
    readsOnPrimary: given('readsOnPrimary') ?? 'fallback',
    holdTimeoutMs: given('holdTimeoutMs') ?? 30_000,
    maxHeld: given('maxHeld') ?? 10_000,
    idleTimeoutMs: config.idleTimeoutMillis ?? 10_000,
    lanes: given('lanes') ?? true,
    allow: given('functions')?.allow ?? [],
    deny: given('functions')?.deny ?? [],
  };
}

/** What a client tells as its host and port: the first that it was given. */
export function firstAddress(source: SourceConfig): Address {
  const [first] = source.kind === 'ask-servers' ? source.addresses : source.apis;
  return first ?? { host: 'localhost', port: DEFAULT_PORT };
}

/** pg's options alone, of one server. */
export function connectionConfig(base: pg.ClientConfig, { host, port }: Address): pg.ClientConfig {
  return { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ...base, host, port };
}

function sourceOf(scheme: Scheme, addresses: readonly Address[], base: pg.ClientConfig): SourceConfig {
  const unique = [...new Map(addresses.map(address => [addressName(address), address])).values()];
  switch (scheme) {
    case 'understudy':
      return { kind: 'understudy', apis: unique, transport: { kind: 'http' } };
    case 'understudy+https':
      return { kind: 'understudy', apis: unique, transport: { kind: 'https', ca: authorityOf(base) } };
    case 'patroni':
      return { kind: 'patroni', apis: unique };
    case 'postgres':
      return { kind: 'ask-servers', addresses: unique };
    default:
      return scheme satisfies never;
  }
}

/** One authority has certified servers and API of a cluster. */
function authorityOf({ ssl }: pg.ClientConfig): string | null {
  const ca = typeof ssl === 'object' ? ssl.ca : undefined;
  return ca === undefined ? null : [ca].flat().map(String).join('\n');
}

type ApiScheme = 'understudy' | 'understudy+https' | 'patroni';
type Scheme = ApiScheme | 'postgres';

const API_SCHEMES: readonly string[] = ['understudy', 'understudy+https', 'patroni'] satisfies ApiScheme[];

function isApiScheme(scheme: string): scheme is ApiScheme {
  return API_SCHEMES.includes(scheme);
}

interface Connection {
  readonly scheme: Scheme;
  readonly addresses: readonly Address[];
  readonly base: pg.ClientConfig;
}

/** `postgres://user@host1,host2:5433/db`, `understudy://…`, `understudy+https://…` and `patroni://…` besides all that pg takes. */
function readConnection(config: PoolConfig): Connection {
  const own = Object.fromEntries(Object.entries(config).filter(([key]) => !OWN_KEYS.has(key) && !POOL_KEYS.has(key))) as pg.ClientConfig;
  // pg hides it from enumeration in the options of a pool.
  if (config.password !== undefined) own.password = config.password;
  const parts = URL_PARTS.exec(config.connectionString ?? '');
  if (!parts?.[3]) return { scheme: 'postgres', ...oneServer(own) };
  const [, scheme = '', login, hosts, rest = ''] = parts;
  const isApi = isApiScheme(scheme);
  const addresses = hosts.split(',').map(text => readAddress(text, isApi ? DEFAULT_API_PORT : DEFAULT_PORT));
  const { connectionString: _text, ...others } = own;
  const single = `postgres://${login === undefined ? '' : `${login}@`}server${rest}`;
  const { host: _host, port: _port, ...parsed } = parseConnectionString(single) as unknown as pg.ClientConfig;
  return { scheme: isApi ? scheme : 'postgres', addresses, base: { ...others, ...parsed } };
}

/** Host and port as pg finds them: options, the environment, its defaults. */
function oneServer(own: pg.ClientConfig): Omit<Connection, 'scheme'> {
  const { host, port } = new pg.Client(own);
  const { connectionString, host: _host, port: _port, ...base } = own;
  const parsed = connectionString === undefined ? {} : (parseConnectionString(connectionString) as unknown as pg.ClientConfig);
  const { host: _h, port: _p, ...rest } = parsed;
  return { addresses: [{ host, port }], base: { ...base, ...rest } };
}
