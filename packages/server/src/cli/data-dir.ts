import { resolve } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { chooseAccount } from '../postgres/account.ts';
import { PostgresError } from '../postgres/errors.ts';
import { chooseClusterDirectory, type ClusterDirectory } from '../postgres/layout.ts';
import type { LoadedSettings } from '../settings/load.ts';

/**
 * Where the cluster of these settings lies; every command finds it in the same way. A default that PostgreSQL's account cannot reach gives
 * way to /var/lib/understudy; a directory that was asked for and cannot be reached is the error `data-unreachable`.
 */
export async function clusterDirectory({ settings, sources }: LoadedSettings, cwd: string): Promise<ClusterDirectory> {
  const path = resolve(cwd, settings.data);
  try {
    return await chooseClusterDirectory({
      explicit: sources.has('data') ? path : null,
      defaultDirectory: path,
      cluster: settings.cluster,
      account: await chooseAccount(),
    });
  } catch (error) {
    if (!(error instanceof PostgresError)) throw error;
    const account = process.getuid?.() === 0 ? 'postgres or nobody' : 'of this process';
    if (error.code === 'no-unprivileged-account') throw new UnderstudyError('no-account', {}, { cause: error });
    throw new UnderstudyError('data-unreachable', { account, path }, { cause: error });
  }
}
