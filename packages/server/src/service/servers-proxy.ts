import { MessageChannel } from 'node:worker_threads';
import { type Settings, UnderstudyError } from '@understudy/core/cluster';
import { type Address, addressName } from '@understudy/core/routing';
import type { TlsMaterial } from '../proxy/client-tls.ts';
import type { Begin, FromProxy, ServerSource, ToProxy } from '../proxy/messages.ts';
import { type ProxyOptions, type SecretSource, workersFor } from '../proxy/options.ts';
import { membersOf } from '../proxy/patroni-watch.ts';
import { threadProgram, WorkerHub } from '../proxy/workers/hub.ts';
import { onlyPlace } from '../proxy/workers/place.ts';
import { portLink } from '../proxy/workers/port-link.ts';
import { serveProxy } from '../proxy/workers/serve.ts';
import { onReload } from '../settings/reloads.ts';
import { channel } from '../store/link.ts';
import { clusterPaths } from '../supervisor/paths.ts';
import { proxyOptions } from '../supervisor/proxy-options.ts';
import { tlsMaterial } from '../supervisor/tls.ts';
import type { ServiceContext } from './member-service.ts';
import { pause } from './pause.ts';
import { checkServer, judgeChecks } from './server-check.ts';

const RETRY_MS = 500;
/** Clients are told at once; a proxy that has not ended by then ends with this process. */
const STOP_DEADLINE_MS = 5_000;

/** All that a proxy must be told that stands in front of servers which Understudy did not start. */
export interface ServersProxyConfig {
  readonly source: ServerSource;
  readonly router: ProxyOptions['router'];
  /** Roles that may log in, with their passwords; null: as the servers have them. */
  readonly passwords: Readonly<Record<string, string>> | null;
  /** Of them, those of routing, proxy and tls, and where to listen. */
  readonly settings: Settings;
  /** The descriptor of a bound socket on which it listens instead; null: none. */
  readonly listenFd: number | null;
  /** The configuration file; null: there is none. */
  readonly file: string | null;
}

/**
 * Runs a proxy in this process until it is stopped, in front of servers whose roles it asks them for. It keeps nothing, and changes nothing on them.
 * Throws errors of the catalogue; `router-refused`, `no-user-secrets`, `different-clusters` and `server-too-old` are about the servers.
 */
export async function runServersProxy(
  config: ServersProxyConfig,
  { stop, say }: Pick<ServiceContext, 'stop' | 'say'>,
  reload: () => ServersProxyConfig,
): Promise<void> {
  const tls = await tlsOf(config);
  const secrets = await secretsOf(config, stop, say);
  if (secrets === null) return;
  const { port1, port2 } = new MessageChannel();
  const control = channel(portLink(port1), 'control');
  const tell = (message: ToProxy): void => control.send(message);
  const proxy = new Promise<void>((resolve, reject) => {
    control.onMessage(message => hear(message as FromProxy, say, reject));
    const begin: Begin = {
      kind: 'begin-asking',
      options: optionsOf(config, tls, secrets),
      listenFd: config.listenFd,
      source: config.source,
    };
    start(begin, port2, code => (code === 0 ? resolve() : reject(new UnderstudyError('internal-error', { why: 'the proxy has ended' }))));
  });
  onReload(config.file, stop, () => {
    void reloaded(config, reload, secrets).then(
      options => tell({ kind: 'reload', options }),
      (error: Error) => say(`The proxy keeps the settings that it has: ${error.message}`),
    );
  });
  const stopped = new Promise<void>(resolve => stop.addEventListener('abort', () => resolve(), { once: true }));
  try {
    await Promise.race([proxy, stopped]);
    if (!stop.aborted) return;
    say('Stopping…');
    const { drainTimeoutMs: drainMs } = config.settings.proxy;
    tell({ kind: 'stop', drainMs });
    await Promise.race([proxy, new Promise<void>(resolve => setTimeout(resolve, drainMs + STOP_DEADLINE_MS).unref())]);
  } finally {
    port1.close();
  }
}

/** One worker in this thread, or several in threads of their own. */
function start(begin: Begin, port: MessageChannel['port2'], onEnd: (code: number) => void): void {
  const link = portLink(port);
  const slots = workersFor(begin.options);
  if (slots === 1) serveProxy(begin, link, onlyPlace(begin.listenFd), onEnd);
  else void new WorkerHub({ begin, link, slots, program: threadProgram(), exit: onEnd }).start();
}

function hear(said: FromProxy, say: (message: string) => void, fail: (error: Error) => void): void {
  switch (said.kind) {
    case 'listening':
      return say(`The proxy listens on ${addressName(said)}.`);
    case 'event':
      return say(said.event.message);
    case 'reload-failed':
      return say(`The proxy goes on with its settings as they were: ${said.message}`);
    case 'failed':
      return fail(new UnderstudyError('internal-error', { why: said.message }));
    case 'stats':
    case 'statements':
    case 'drained':
      return;
    default:
      said satisfies never;
  }
}

function optionsOf({ settings, router }: ServersProxyConfig, tls: TlsMaterial | null, secrets: SecretSource): ProxyOptions {
  return { ...proxyOptions(settings, settings.port, router.password, tls, null), router, secrets };
}

function tlsOf({ settings }: ServersProxyConfig): Promise<TlsMaterial | null> {
  return tlsMaterial(settings, clusterPaths(settings.data).tls, Date.now());
}

async function reloaded(before: ServersProxyConfig, reload: () => ServersProxyConfig, secrets: SecretSource): Promise<ProxyOptions> {
  const config = reload();
  const { passwords } = config;
  const now: SecretSource = passwords === null || before.passwords === null ? secrets : { kind: 'users', passwords };
  return optionsOf(config, await tlsOf(config), now);
}

/** Goes to the servers until one of them answers; null when it is stopped before that. */
async function secretsOf(config: ServersProxyConfig, stop: AbortSignal, say: (message: string) => void): Promise<SecretSource | null> {
  const options = optionsOf(config, null, { kind: 'function' });
  let said = '';
  while (!stop.aborted) {
    const found = await serversOf(config.source);
    if (typeof found !== 'string') {
      const checks = await Promise.all(found.map(address => checkServer(address, options)));
      const result = judgeChecks(checks, config.router.user, config.passwords);
      if (result.kind === 'ready') {
        for (const why of result.silent) say(`No answer yet from ${why}`);
        return result.secrets;
      }
      said = tellOnce(`Waiting for a server (${result.why})`, said, say);
    } else said = tellOnce(`Waiting for Patroni (${found})`, said, say);
    await pause(RETRY_MS, stop);
  }
  return null;
}

function tellOnce(message: string, before: string, say: (message: string) => void): string {
  if (message !== before) say(message);
  return message;
}

/** Or why they are not known. */
async function serversOf(source: ServerSource): Promise<readonly Address[] | string> {
  return source.kind === 'addresses' ? source.addresses : await membersOf(source.apis).catch((error: Error) => error.message);
}
