import type { ClusterState } from '@understudy/core/cluster';
import { EtcdError } from '../store/etcd/gateway.ts';
import { EtcdStore, type EtcdStoreOptions } from '../store/etcd/store.ts';
import { pause } from './pause.ts';

const RETRY_MS = 500;

/**
 * Opens the store as soon as it can be reached: a machine may come up before etcd does. `initial`: what to begin a new cluster with; null waits until
 * somebody else has. Null when it is stopped before that.
 */
export async function openStore(
  options: EtcdStoreOptions,
  initial: (() => ClusterState) | null,
  stop: AbortSignal,
  say: (message: string) => void,
): Promise<EtcdStore | null> {
  let said = '';
  while (!stop.aborted) {
    const why = await EtcdStore.open(options, initial).catch((error: unknown) => {
      if (error instanceof EtcdError) return error.message;
      throw error;
    });
    if (why instanceof EtcdStore) return why;
    const message = why ?? 'there is no cluster in it yet';
    if (message !== said) say(`Waiting for the store (${options.endpoints.join(', ')}): ${message}`);
    said = message;
    await pause(RETRY_MS, stop);
  }
  return null;
}
