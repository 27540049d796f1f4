import type { ClusterFacade } from '../api/facade.ts';
import { memberUrl, withClient } from './connections.ts';

const DELAY_MS = 4000;

/**
 * Lets a replica replay each commit late while something is done. It still receives the WAL and acknowledges it, so nothing is less safe.
 * The setting is taken away again whatever happens.
 */
export async function delayed(facade: ClusterFacade, id: string, use: () => Promise<void>): Promise<void> {
  const set = (command: string): Promise<unknown> =>
    withClient(memberUrl(facade, id), async client => {
      await client.query(command);
      await client.query('select pg_reload_conf()');
    });
  try {
    await set(`alter system set recovery_min_apply_delay = ${DELAY_MS}`);
    await use();
  } finally {
    await set('alter system reset recovery_min_apply_delay');
  }
}
