import { EXIT, type ExitCode, type Settings, UnderstudyError } from '@understudy/core/cluster';
import type { ServerSource } from '../../proxy/messages.ts';
import {
  type PassedSocket,
  runProxy,
  runServersProxy,
  type ServersProxyConfig,
  type ServiceSettings,
  SETUP_SQL,
  takePassedSocket,
} from '../../service/index.ts';
import { choosePort } from '../../supervisor/ports.ts';
import type { CommandContext } from '../context.ts';
import { type ProxyCommandOptions, serverSource, serversProxySettings } from '../servers-options.ts';
import { serviceContext, serviceSettings } from '../service-options.ts';

/** Runs one proxy on this machine, until it is stopped: of a cluster of Understudy's, or in front of servers that it did not start. */
export async function run(context: CommandContext, options: ProxyCommandOptions): Promise<ExitCode> {
  if (options.setupSql) {
    context.terminal.out(SETUP_SQL);
    return EXIT.ok;
  }
  const source = serverSource(context, options);
  if (source !== null) return await inFrontOf(source, context, options);
  const { config: _config, data: _data, url: _url, ca: _ca, json: _json, setupSql: _setup, ...others } = options;
  const stray = Object.keys(others).find(key => others[key as keyof typeof others] !== undefined);
  if (stray !== undefined) {
    const why = `--${stray.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)} goes with --servers or --patroni; else the configuration file says it`;
    throw new UnderstudyError('bad-usage', { why, help: 'understudy proxy --help' });
  }
  const load = (): ServiceSettings => serviceSettings(context, options, 'proxy');
  const settings = load();
  const socket = takePassedSocket(process.env, process.pid);
  await runProxy(settings, { ...serviceContext(context, settings, 'proxy'), socket }, load);
  return EXIT.ok;
}

async function inFrontOf(source: ServerSource, context: CommandContext, options: ProxyCommandOptions): Promise<ExitCode> {
  const { config, loaded } = serversProxySettings(context, options, source);
  const socket = takePassedSocket(process.env, process.pid);
  const { host, port } = await addressOf(socket, config.settings, loaded.sources.has('port'));
  const at = (next: ServersProxyConfig): ServersProxyConfig => ({
    ...next,
    listenFd: socket?.fd ?? null,
    settings: { ...next.settings, host, port },
  });
  const reload = (): ServersProxyConfig => at(serversProxySettings(context, options, source).config);
  await runServersProxy(at(config), serviceContext(context, { settings: config.settings, name: `${host}:${port}` }, 'proxy'), reload);
  return EXIT.ok;
}

/** Where it will listen: a socket that is passed is where it is. Throws `port-taken`, `no-free-port`, `bad-option`. */
async function addressOf(
  socket: PassedSocket | null,
  { host, port }: Pick<Settings, 'host' | 'port'>,
  explicit: boolean,
): Promise<{ readonly host: string; readonly port: number }> {
  if (socket !== null) return socket;
  return { host, port: await choosePort(host, { port, explicit, flag: '--port' }, new Set()) };
}
