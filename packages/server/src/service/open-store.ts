import type { ClusterState } from '@understudy/core/cluster';
import { EtcdError } from '../store/etcd/gateway.ts';
import { EtcdStore } from '../store/etcd/store.ts';
import { etcdOptions } from './etcd-certificate.ts';
import { pause } from './pause.ts';
import type { ServiceSettings } from './settings.ts';

const RETRY_MS = 500;

/**
 * Opens the store as soon as it can be reached: a machine may come up before etcd does. `initial`: what to begin a new cluster with; null waits until
 * somebody else has. Null when it is stopped before that.
 */
export async function openStore(
  config: Pick<ServiceSettings, 'etcd' | 'etcdTls'>,
  initial: (() => ClusterState) | null,
  stop: AbortSignal,
  say: (message: string) => void,
): Promise<EtcdStore | null> {
  let said = '';
  while (!stop.aborted) {
    const why = await EtcdStore.open(etcdOptions(config), initial).catch((error: unknown) => {
      if (error instanceof EtcdError) return error.message;
      throw error;
    });
    if (why instanceof EtcdStore) return why;
    const message = why ?? 'there is no cluster in it yet';
    if (message !== said) say(`Waiting for the store (${config.etcd.endpoints.join(', ')}): ${message}`);
    said = message;
    await pause(RETRY_MS, stop);
  }
  return null;
}
