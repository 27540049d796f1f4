import type { EventDraft } from '@understudy/core/cluster';
import { onReload } from '../settings/reloads.ts';
import { makeFolder } from '../supervisor/directory.ts';
import { lockDirectory } from '../supervisor/lock.ts';
import { type ClusterPaths, clusterPaths } from '../supervisor/paths.ts';
import { proxyOptions } from '../supervisor/proxy-options.ts';
import { ProxyProcess } from '../supervisor/proxy-process.ts';
import { RouterSettings } from '../supervisor/router-settings.ts';
import { readSecrets } from '../supervisor/secrets.ts';
import { tlsMaterial } from '../supervisor/tls.ts';
import type { ServerTls } from '../proxy/server-tls.ts';
import type { EtcdStore } from '../store/etcd/store.ts';
import type { ServiceContext } from './member-service.ts';
import { followEtcdCertificate } from './etcd-certificate.ts';
import { openStore } from './open-store.ts';
import { listeningOn, type PassedSocket } from './passed-socket.ts';
import { pause } from './pause.ts';
import { ROUTERS, type RouterWord } from './routers.ts';
import { readTls, type ServiceSettings } from './settings.ts';

/** How often a router says how it is, at least; the answer also shows how old its view of the cluster is. */
const WORD_INTERVAL_MS = 250;

export interface ProxyContext extends ServiceContext {
  /** The port, where somebody else holds it open; null: it is ours, while we run. */
  readonly socket: PassedSocket | null;
}

/** Runs one proxy on this machine until it is stopped. Any number may run; none of them keeps anything. Throws errors of the catalogue. */
export async function runProxy(config: ServiceSettings, context: ProxyContext, reload: () => ServiceSettings): Promise<void> {
  const paths = clusterPaths(config.settings.data);
  const secrets = readSecrets(config.secrets);
  for (const folder of [paths.root, paths.run, paths.log]) makeFolder(folder);
  const lock = lockDirectory(paths.lock);
  try {
    const store = await openStore(config, null, context.stop, context.say);
    if (!store) return;
    const unfollow = followEtcdCertificate(store, config, message => context.log.warn(message));
    try {
      await serve(config, context, store, secrets.router, paths, reload);
    } finally {
      unfollow();
      await store.close();
    }
  } finally {
    lock.release();
  }
}

async function serve(
  { name, file, settings: written, viewTtlMs, machineTls }: ServiceSettings,
  { stop, say, log, socket }: ProxyContext,
  store: EtcdStore,
  routerPassword: string,
  paths: ClusterPaths,
  reload: () => ServiceSettings,
): Promise<void> {
  const settings = listeningOn(written, socket);
  const tls = await tlsMaterial(settings, paths.tls, Date.now());
  const serverTls = (): ServerTls | null => (machineTls ? readTls(machineTls) : null);
  let drained: string | null = null;
  const onEvent = (event: EventDraft): void => {
    log.event(event);
    store.tell(name, event);
  };
  const proxy = new ProxyProcess({
    proxy: proxyOptions(settings, settings.port, routerPassword, tls, serverTls()),
    failover: settings.failover,
    membersDirectory: null,
    viewTtlMs,
    listenFd: socket?.fd ?? null,
    store,
    logDirectory: paths.log,
    onEvent,
    onDrained: intentId => {
      drained = intentId;
      void speak();
    },
  });
  const speak = async (): Promise<void> => {
    const word: RouterWord = { host: settings.host, port: settings.port, drained, status: proxy.status() };
    await store.notify(ROUTERS, name, word).catch(() => undefined);
    proxy.confirmView(performance.now() - store.contactAtMs);
  };
  const routerSettings = new RouterSettings({ settings, port: settings.port, routerPassword, tlsDirectory: paths.tls, serverTls, onEvent });
  onReload(file, stop, cause => void routerSettings.reload(proxy, () => listeningOn(reload().settings, socket), cause));
  try {
    await proxy.listening;
    say(`Proxy ${name} listens on port ${settings.port}${socket === null ? '' : ', which systemd holds open'}.`);
    while (!stop.aborted) {
      await speak();
      await pause(WORD_INTERVAL_MS, stop);
    }
    say('Stopping…');
  } finally {
    // Whoever is in the middle of something is served to its end, by a view that is confirmed as before.
    const speaking = setInterval(() => void speak(), WORD_INTERVAL_MS);
    await proxy.stop(settings.proxy.drainTimeoutMs).finally(() => clearInterval(speaking));
  }
}
