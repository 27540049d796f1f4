import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { ServerSource } from '../../proxy/messages.ts';
import { runProxy, runServersProxy, type ServersProxyConfig, type ServiceSettings, SETUP_SQL } from '../../service/index.ts';
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
  const { config: _config, data: _data, url: _url, json: _json, setupSql: _setup, ...others } = options;
  const stray = Object.keys(others).find(key => others[key as keyof typeof others] !== undefined);
  if (stray !== undefined) {
    const why = `--${stray.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)} goes with --servers or --patroni; else the configuration file says it`;
    throw new UnderstudyError('bad-usage', { why, help: 'understudy proxy --help' });
  }
  const load = (): ServiceSettings => serviceSettings(context, options, 'proxy');
  const settings = load();
  await runProxy(settings, serviceContext(context, settings, 'proxy'), load);
  return EXIT.ok;
}

async function inFrontOf(source: ServerSource, context: CommandContext, options: ProxyCommandOptions): Promise<ExitCode> {
  const { config, loaded } = serversProxySettings(context, options, source);
  const { host, port } = config.settings;
  const chosen = await choosePort(host, { port, explicit: loaded.sources.has('port'), flag: '--port' }, new Set());
  const at = (next: ServersProxyConfig): ServersProxyConfig => ({ ...next, settings: { ...next.settings, port: chosen } });
  const reload = (): ServersProxyConfig => at(serversProxySettings(context, options, source).config);
  await runServersProxy(at(config), serviceContext(context, { settings: config.settings, name: `${host}:${chosen}` }, 'proxy'), reload);
  return EXIT.ok;
}
