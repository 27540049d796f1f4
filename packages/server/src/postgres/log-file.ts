import { copyFile, type FileHandle, open, stat, truncate } from 'node:fs/promises';
import { type Account, giveTo } from './account.ts';

/** A server's log is kept in two files of at most about this size each. */
const LOG_LIMIT_BYTES: number = 16 * 1024 * 1024;

/**
 * Opens the log for a postmaster. A file and no pipe: PostgreSQL must go on when its agent is dead, and must not wait in write(2) when
 * its agent is stopped. Opened for appending, so that limitLog can cut it under a running server.
 */
export async function openLog(account: Account | null, path: string): Promise<FileHandle> {
  const file = await open(path, 'a', 0o600);
  await giveTo(account, path);
  return file;
}

/** Keeps the log within its limit: the full one becomes `.1`, and the running server goes on in an empty one. Call it now and then. */
export async function limitLog(path: string, limitBytes: number = LOG_LIMIT_BYTES): Promise<void> {
  if ((await logSize(path)) <= limitBytes) return;
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
}

export async function logSize(path: string): Promise<number> {
  return await stat(path).then(
    info => info.size,
    () => 0,
  );
}

/** What was logged from `offset` on, at most the last 4 KiB of it. */
export async function logTail(path: string, offset: number): Promise<string> {
  const size = await logSize(path);
  const from = Math.max(size - 4096, offset > size ? 0 : offset);
  const file = await open(path, 'r').catch(() => null);
  if (!file) return '';
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead).trim();
  } finally {
    await file.close();
  }
}
