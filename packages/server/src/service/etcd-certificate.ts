import type { EtcdTls } from '../store/etcd/gateway.ts';
import type { EtcdStore, EtcdStoreOptions } from '../store/etcd/store.ts';
import { followFiles } from './follow-files.ts';
import { readEtcdTls, type ServiceSettings } from './settings.ts';

type EtcdSettings = Pick<ServiceSettings, 'etcd' | 'etcdTls'>;

/** How to reach etcd, with its files as they are now; as they were when the settings were read, where that cannot be told. */
export function etcdOptions({ etcd, etcdTls }: EtcdSettings): EtcdStoreOptions {
  if (etcdTls === null) return etcd;
  try {
    return { ...etcd, tls: readEtcdTls(etcdTls) };
  } catch {
    return etcd;
  }
}

/**
 * Shows renewed certificates to etcd, and trusts a renewed authority, from the next connection on. What etcd does not take is told to `warn`, and
 * all goes on as before. Returns the end of it.
 */
export function followEtcdCertificate(
  store: Pick<EtcdStore, 'useTls'>,
  { etcd, etcdTls }: EtcdSettings,
  warn: (message: string) => void,
  intervalMs?: number,
): () => void {
  if (etcdTls === null || etcd.tls === null) return () => undefined;
  return followFiles<EtcdTls>(etcd.tls, {
    read: () => readEtcdTls(etcdTls),
    take: tls => store.useTls(tls),
    warn: why => warn(`etcd is shown the certificate as it was: ${why}`),
    ...(intervalMs === undefined ? {} : { intervalMs }),
  });
}
