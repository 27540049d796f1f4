import { resolve } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { PATRONI_PORT, readAddresses } from '@understudy/core/routing';
import { ROUTER_ROLE } from '../postgres/credentials.ts';
import type { ServerSource } from '../proxy/messages.ts';
import { readUsersFile, type ServersProxyConfig } from '../service/index.ts';
import { type LoadedSettings, loadSettings } from '../settings/load.ts';
import type { CommandContext } from './context.ts';
import type { ServiceOptions } from './service-options.ts';

/** Flags of `proxy`. All but --config are for servers that Understudy did not start. */
export interface ProxyCommandOptions extends ServiceOptions {
  readonly servers?: string;
  readonly patroni?: string;
  readonly routerUser?: string;
  readonly routerDatabase?: string;
  readonly users?: string;
  readonly port?: string;
  readonly host?: string;
  readonly consistency?: string;
  readonly tlsMode?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly setupSql?: boolean;
}

/** The servers that the command line or the environment names; null: none. Throws `bad-option`, `bad-usage`. */
export function serverSource({ env }: CommandContext, options: ProxyCommandOptions): ServerSource | null {
  const { servers, patroni, config } = options;
  if (servers !== undefined && patroni !== undefined)
    throw new UnderstudyError('bad-usage', { why: '--servers and --patroni name the same servers twice', help: 'understudy proxy --help' });
  if (patroni !== undefined) return { kind: 'patroni', apis: addresses('--patroni', patroni, PATRONI_PORT) };
  if (servers !== undefined) return { kind: 'addresses', addresses: addresses('--servers', servers) };
  // A configuration file may be that of a proxy of a cluster of Understudy's.
  const named = config === undefined ? env['UNDERSTUDY_SERVERS'] : undefined;
  return named ? { kind: 'addresses', addresses: addresses('UNDERSTUDY_SERVERS', named) } : null;
}

function addresses(option: string, text: string, defaultPort?: number): ReturnType<typeof readAddresses> {
  try {
    return readAddresses(text, defaultPort);
  } catch (error) {
    throw new UnderstudyError('bad-option', { option, why: (error as Error).message, command: 'proxy' }, { cause: error });
  }
}

/** The settings of a proxy in front of such servers. Throws `bad-option`, `bad-config`, `unknown-key`, `bad-usage`. */
export function serversProxySettings(
  context: CommandContext,
  options: ProxyCommandOptions,
  source: ServerSource,
): { readonly config: ServersProxyConfig; readonly loaded: LoadedSettings } {
  const { port, host, consistency, tlsMode, tlsCert, tlsKey, tlsClientCa } = options;
  const loaded = loadSettings({
    flags: { port, host, consistency, 'tls.mode': tlsMode, 'tls.cert': tlsCert, 'tls.key': tlsKey, 'tls.clientCa': tlsClientCa },
    env: context.env,
    cwd: context.cwd,
    command: 'proxy',
    configPath: options.config ?? null,
  });
  const password = context.env['UNDERSTUDY_ROUTER_PASSWORD'];
  if (!password) {
    const why = 'UNDERSTUDY_ROUTER_PASSWORD does not say the password with which the proxy asks the servers';
    throw new UnderstudyError('bad-usage', { why, help: 'understudy proxy --help' });
  }
  const config = {
    source,
    router: { user: options.routerUser ?? ROUTER_ROLE, password, database: options.routerDatabase ?? 'postgres' },
    passwords: options.users === undefined ? null : readUsersFile(resolve(context.cwd, options.users)),
    settings: { ...loaded.settings, data: resolve(context.cwd, loaded.settings.data) },
    listenFd: null,
    file: loaded.configPath,
  };
  return { config, loaded };
}
