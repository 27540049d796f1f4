import { resolve } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { chooseAccount } from '../postgres/account.ts';
import { PostgresError } from '../postgres/errors.ts';
import { chooseClusterDirectory, type ClusterDirectory } from '../postgres/layout.ts';
import type { LoadedSettings } from '../settings/load.ts';

/** Where the cluster that is there already lies: a directory that was named is taken at its word. */
export async function existingClusterDirectory(loaded: LoadedSettings, cwd: string): Promise<string> {
  if (loaded.sources.has('data')) return resolve(cwd, loaded.settings.data);
  return (await clusterDirectory(loaded, cwd)).path;
}

/**
 * Where `up` puts the cluster of these settings. A default that PostgreSQL's account cannot reach gives
 * way to /var/lib/understudy; a directory that was asked for and cannot be reached is the error `data-unreachable`.
 */
export async function clusterDirectory({ settings, sources }: LoadedSettings, cwd: string): Promise<ClusterDirectory> {
  const path = resolve(cwd, settings.data);
  const account = await chooseAccount().catch((error: unknown) => {
    throw new UnderstudyError('no-account', {}, { cause: error });
  });
  try {
    return await chooseClusterDirectory({
      explicit: sources.has('data') ? path : null,
      defaultDirectory: path,
      cluster: settings.cluster,
      account,
    });
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    throw new UnderstudyError('data-unreachable', { account: account?.name ?? 'of this process', path }, { cause: error });
  }
}
