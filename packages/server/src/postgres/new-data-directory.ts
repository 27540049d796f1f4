import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Account } from './account.ts';
import { PostgresError } from './errors.ts';
import { exists, makePrivateDirectory, syncDirectory, syncTree } from './files.ts';
import { type MemberPaths, unfinishedDirectory } from './layout.ts';
import { passfilePath } from './passfile.ts';
import type { Provider } from './provider.ts';
import { ISOLATED, type ServerSettings } from './settings.ts';
import { writeSettings } from './settings-files.ts';

interface NewMember {
  readonly account: Account | null;
  readonly paths: MemberPaths;
}

/**
 * Makes a data directory: `fill` writes it to a side directory, which is synced and only then renamed into place, so that a half one is never taken for
 * a member. An error, or an abort, leaves nothing. Throws `data-directory-foreign` when something is there already, and what `fill` throws.
 */
export async function makeDataDirectory<T>(
  { account, paths }: NewMember,
  fill: (side: string) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  if (await exists(paths.dataDirectory)) throw new PostgresError('data-directory-foreign', `${paths.dataDirectory} exists already`);
  await makePrivateDirectory(account, paths.memberDirectory);
  const side = unfinishedDirectory(paths);
  await rm(side, { recursive: true, force: true });
  try {
    const made = await fill(side);
    await syncTree(side);
    signal?.throwIfAborted();
    await rename(side, paths.dataDirectory);
    await syncDirectory(dirname(paths.dataDirectory));
    return made;
  } catch (error) {
    await rm(side, { recursive: true, force: true });
    throw error;
  }
}

/** Its settings files, for a server that follows nobody and can acknowledge nothing. */
export async function writeIsolatedSettings(
  { account, paths, provider, settings }: NewMember & { readonly provider: Provider; readonly settings: ServerSettings },
  dataDirectory: string,
): Promise<void> {
  const passfile = passfilePath(paths.passfileDirectory, 'none');
  await writeSettings({ account, dataDirectory, major: provider.version.major, settings, replication: ISOLATED, passfile });
}
