import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lchownSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, giveTo } from './account.ts';
import { errnoOf } from './errors.ts';

/** Writes a file so that a reader, or a crash, sees the old content or the new, never a part. Mode 0600, owned by the account. */
export async function writeFileAtomically(account: Account | null, path: string, content: string): Promise<void> {
  const side = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(side, 'wx', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await giveTo(account, side);
    await rename(side, path);
  } catch (error) {
    await rm(side, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Replaces a file so that a reader sees the old content or the new, never a part; a crash of the machine may bring the old one back. For what is
 * written anew whenever a server starts, in the middle of a failover: each wait for the disk, and each change of threads, would prolong it.
 * Mode 0600, owned by the account.
 */
export function replaceFile(account: Account | null, path: string, content: string): void {
  const side = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    writeFileSync(side, content, { mode: 0o600, flag: 'wx' });
    if (account) lchownSync(side, account.uid, account.gid);
    renameSync(side, path);
  } catch (error) {
    rmSync(side, { force: true });
    throw error;
  }
}

/** Makes creations, renames and removals in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  let directory: FileHandle;
  try {
    directory = await open(path, 'r');
  } catch (error) {
    // Windows opens no directories, and needs none of this.
    if (errnoOf(error) === 'EISDIR' || errnoOf(error) === 'EPERM') return;
    throw error;
  }
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Creates a directory that only the account may enter; its missing parents get 0711, so that the account can pass through them. */
export async function makePrivateDirectory(account: Account | null, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  await mkdir(path, { recursive: true, mode: 0o700 });
  await giveTo(account, path);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false;
    throw error;
  }
}

/**
 * Makes everything below a directory durable. Where there is syncfs(2) (through sync(1)) it is one call instead of one for each of a thousand files;
 * elsewhere each file is synced by itself.
 */
export async function syncTree(directory: string): Promise<void> {
  if (process.platform === 'linux' && (await syncFileSystem(directory))) return;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  const directories = entries.filter(entry => entry.isDirectory()).map(entry => join(entry.parentPath, entry.name));
  await eachOf(files, syncFile);
  await eachOf([...directories, directory], syncDirectory);
}

async function syncFileSystem(directory: string): Promise<boolean> {
  return await promisify(execFile)('sync', ['-f', directory]).then(
    () => true,
    () => false,
  );
}

/** Node has four threads for files by default. */
const SYNCS_AT_ONCE = 4;

async function eachOf(paths: readonly string[], work: (path: string) => Promise<void>): Promise<void> {
  const left = [...paths];
  const worker = async (): Promise<void> => {
    for (let path = left.pop(); path !== undefined; path = left.pop()) await work(path);
  };
  await Promise.all(Array.from({ length: SYNCS_AT_ONCE }, worker));
}

/** Makes the content of a file durable. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
