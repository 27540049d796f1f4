import { createHash } from 'node:crypto';
import { closeSync, fchownSync, openSync, writeFileSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import type { Extract, Header } from 'tar-stream';
import { type Account, giveTo } from './account.ts';
import type { FileDigest } from './backup-manifest.ts';
import { PostgresError } from './errors.ts';

/** Nearly all of the thousand files of a database are smaller than this. */
const SMALL_FILE_BYTES = 256 * 1024;

/**
 * Unpacks a tar archive of a data directory as it flows, hashing each file on the way; nothing is synced. Returns the digest of every file by path. Throws
 * `clone-failed` on an entry that no data directory has (a link, a path that leads outside).
 */
export async function unpackArchive(archive: Extract, directory: string, account: Account | null): Promise<Map<string, FileDigest>> {
  const digests = new Map<string, FileDigest>();
  for await (const entry of archive) {
    const path = safePath(entry.header);
    const target = join(directory, path);
    if (entry.header.type === 'directory') {
      await makeDirectory(account, target);
      entry.resume();
      continue;
    }
    const content = entry as AsyncIterable<Buffer>;
    const small = entry.header.size <= SMALL_FILE_BYTES;
    digests.set(path, small ? writeSmallFile(account, target, await gather(content)) : await writeLargeFile(account, target, content));
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

async function gather(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Synchronous: four calls into the page cache, where the detours through the thread pool would take twenty times as long. */
function writeSmallFile(account: Account | null, path: string, content: Buffer): FileDigest {
  const fd = openSync(path, 'w', 0o600);
  try {
    if (account) fchownSync(fd, account.uid, account.gid);
    writeFileSync(fd, content);
  } finally {
    closeSync(fd);
  }
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

async function writeLargeFile(account: Account | null, path: string, content: AsyncIterable<Buffer>): Promise<FileDigest> {
  const hash = createHash('sha256');
  let size = 0;
  const file = await open(path, 'w', 0o600);
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
