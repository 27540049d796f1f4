import { constants } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Account } from './account.ts';
import { errnoOf } from './errors.ts';
import { giveTo } from './account.ts';
import { monotonicMs } from './wait.ts';

/** Whether the disk of a data directory takes a write and an fsync. */
export type DiskReport =
  | { readonly kind: 'well'; readonly freeBytes: number; readonly fsyncMs: number }
  | { readonly kind: 'full'; readonly freeBytes: number }
  /** The write or the fsync failed: `errno` says how. */
  | { readonly kind: 'failed'; readonly errno: string }
  /** The last probe has not come back for this long. */
  | { readonly kind: 'hanging'; readonly forMs: number };

const PROBE_FILE = 'understudy.probe';
/** We may be root, and the directory is another account's: no link of its making leads us to what is not its own, and no pipe keeps us waiting. */
const PROBE_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const PROBE_BYTES = 8192;
/** A disk with less room than a WAL segment is full to PostgreSQL, however well it takes a small file: the next segment ends it. */
const LEAST_FREE_BYTES = 16 * 1024 ** 2;

/**
 * Probes the disk under a data directory. At most one probe is under way: on a disk that does not answer each would hold one of Node's
 * few file threads for ever, so the next calls report the one that hangs.
 */
export class DiskProbe {
  readonly #directory: string;
  readonly #account: Account | null;
  #pending: { readonly sinceMs: number; readonly report: Promise<DiskReport> } | null = null;

  constructor(directory: string, account: Account | null) {
    this.#directory = directory;
    this.#account = account;
  }

  /** Answers within `deadlineMs`, whatever the disk does. */
  async probe(deadlineMs: number): Promise<DiskReport> {
    this.#pending ??= this.#begin();
    const { report, sinceMs } = this.#pending;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<DiskReport>(resolve => {
      timer = setTimeout(() => resolve({ kind: 'hanging', forMs: Math.round(monotonicMs() - sinceMs) }), deadlineMs);
    });
    return await Promise.race([report, late]).finally(() => clearTimeout(timer));
  }

  #begin(): { sinceMs: number; report: Promise<DiskReport> } {
    const report = writeAndSync(this.#directory, this.#account).finally(() => {
      this.#pending = null;
    });
    return { sinceMs: monotonicMs(), report };
  }
}

/** The size of the file system of `path`. */
export async function diskBytes(path: string): Promise<number> {
  const { blocks, bsize } = await statfs(path);
  return blocks * bsize;
}

/** Bytes that an unprivileged account may still write on the file system of `path`. */
async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

async function writeAndSync(directory: string, account: Account | null): Promise<DiskReport> {
  const began = monotonicMs();
  try {
    const free = await freeBytes(directory);
    // Also as root, who could write into what the file system keeps back from PostgreSQL.
    if (free < LEAST_FREE_BYTES) return { kind: 'full', freeBytes: free };
    const path = join(directory, PROBE_FILE);
    const file = await open(path, PROBE_FLAGS, 0o600);
    try {
      await file.writeFile(Buffer.alloc(PROBE_BYTES));
      await file.datasync();
    } finally {
      await file.close();
    }
    await giveTo(account, path);
    return { kind: 'well', freeBytes: free, fsyncMs: Math.round((monotonicMs() - began) * 10) / 10 };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOSPC' || errno === 'EDQUOT') return { kind: 'full', freeBytes: 0 };
    return { kind: 'failed', errno: errno ?? String(error) };
  }
}
