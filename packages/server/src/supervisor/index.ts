import { fileURLToPath } from 'node:url';
import type { LoadedSettings } from '../settings/load.ts';
import { prepareCluster } from './prepare-cluster.ts';
import type { ProgressListener } from './progress.ts';
import { Supervisor } from './supervisor.ts';

export { toBackupError } from './errors.ts';
export { stopOrphans } from './orphans.ts';
export type { ProgressListener } from './progress.ts';
export type { Supervisor } from './supervisor.ts';

/**
 * Starts (or takes up) the cluster of this directory in this process; resolves when the API and the proxy listen. Use `whenHealthy` to wait
 * for its members. Throws errors of the catalogue, and has touched nothing then.
 */
export async function startSupervisor(
  loaded: LoadedSettings,
  directory: string,
  version: string,
  progress: ProgressListener,
  fromBackup: string | null = null,
): Promise<Supervisor> {
  const cluster = await prepareCluster(loaded, directory, fromBackup);
  const supervisor = new Supervisor(cluster, { settings: loaded.settings, version, dashboardDirectory: dashboardDirectory() }, progress);
  try {
    await supervisor.start();
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return supervisor;
}

/** The built page: beside the compiled server when published, in its own package in a checkout. */
export function dashboardDirectory(): string {
  return fileURLToPath(new URL('../../../dashboard/dist', import.meta.url));
}
