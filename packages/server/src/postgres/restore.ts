import { createReadStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { BACKUP_FILES, type BackupAbout, readAbout } from './backup.ts';
import { findMismatches, parseManifest } from './backup-manifest.ts';
import { ROUTER_ROLE, SUPERUSER } from './credentials.ts';
import { PostgresError } from './errors.ts';
import { makePrivateDirectory } from './files.ts';
import { makeDataDirectory, writeIsolatedSettings } from './new-data-directory.ts';
import type { ServerSpec } from './replication.ts';
import { REPLICATION_ROLE } from './settings.ts';
import { quoteLiteral, runSingleUser } from './single-user.ts';
import { unpackArchive } from './unpack.ts';

/**
 * Makes a member's data directory from a backup: unpacked and compared with its manifest, recovered to the end of the backup, with the passwords of
 * the cluster that it now belongs to. All of it in a side directory that is renamed into place at the end. Throws `data-directory-foreign`, `data-directory-version`,
 * `clone-unverified`, `initdb-failed`.
 */
export async function restoreBackup(spec: ServerSpec, backup: string): Promise<BackupAbout> {
  const { account, credentials, provider } = spec;
  const about = await readAbout(backup);
  const major = Number.parseInt(about.serverVersion, 10);
  if (major !== provider.version.major) {
    throw new PostgresError(
      'data-directory-version',
      `${backup} is of PostgreSQL ${about.serverVersion}, the programs are ${provider.version.text}`,
    );
  }
  return await makeDataDirectory(spec, async side => {
    await makePrivateDirectory(account, side);
    await unpack(spec, backup, side);
    // Of a backup that was taken from a replica.
    await rm(join(side, 'standby.signal'), { force: true });
    await writeIsolatedSettings(spec, side);
    const password = (role: string, value: string): string => `ALTER ROLE ${role} PASSWORD ${quoteLiteral(value)}`;
    const { superuser, replication, router } = credentials;
    const statements = [password(SUPERUSER, superuser), password(REPLICATION_ROLE, replication), password(ROUTER_ROLE, router)];
    await runSingleUser({ account, provider, directory: side, statements });
    return about;
  });
}

async function unpack({ account }: ServerSpec, backup: string, side: string): Promise<void> {
  const archive = extract();
  const [digests] = await Promise.all([
    unpackArchive(archive, side, account),
    pipeline(createReadStream(join(backup, BACKUP_FILES.archive)), archive),
  ]);
  const mismatches = findMismatches(parseManifest(await readFile(join(backup, BACKUP_FILES.manifest))), digests);
  if (mismatches.length > 0)
    throw new PostgresError('clone-unverified', 'the backup does not agree with its manifest', { detail: mismatches.join('\n') });
}
