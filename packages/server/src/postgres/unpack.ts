import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import type { Extract, Header } from 'tar-stream';
import { type Account, giveTo } from './account.ts';
import type { FileDigest } from './backup-manifest.ts';
import { PostgresError } from './errors.ts';

/**
 * Unpacks a tar archive of a data directory as it flows, hashing each file on the way. Returns the digest of every file by path.
 * Throws `clone-failed` on an entry that no data directory has (a link, a path that leads outside).
 */
export async function unpackArchive(archive: Extract, directory: string, account: Account | null): Promise<Map<string, FileDigest>> {
  const digests = new Map<string, FileDigest>();
  for await (const entry of archive) {
    const path = safePath(entry.header);
    if (entry.header.type === 'directory') {
      await makeDirectory(account, join(directory, path));
      entry.resume();
    } else {
      digests.set(path, await writeEntry(account, join(directory, path), entry as AsyncIterable<Buffer>));
    }
  }
  return digests;
}

function safePath(header: Header): string {
  const path = normalize(header.name).replace(/\/$/, '');
  if (path.startsWith('/') || path === '..' || path.startsWith('../'))
    throw new PostgresError('clone-failed', `the backup holds a path outside of it: ${header.name}`);
  if (header.type !== 'file' && header.type !== 'directory') {
    throw new PostgresError(
      'clone-failed',
      `the backup holds ${header.name}, which is neither a file nor a directory but a ${header.type}`,
    );
  }
  return path;
}

async function makeDirectory(account: Account | null, path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await giveTo(account, path);
}

async function writeEntry(account: Account | null, path: string, content: AsyncIterable<Buffer>): Promise<FileDigest> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'w', 0o600).catch(async () => {
    await makeDirectory(account, dirname(path));
    return await open(path, 'w', 0o600);
  });
  try {
    if (account) await file.chown(account.uid, account.gid);
    for await (const chunk of content) {
      hash.update(chunk);
      await file.writeFile(chunk);
      size += chunk.length;
    }
  } finally {
    await file.close();
  }
  return { size, sha256: hash.digest('hex') };
}
