import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './errors.ts';

/** postmaster.pid, line by line as in PostgreSQL's pidfile.h. */
export interface PostmasterFile {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly port: number | null;
  /** The first directory with its Unix socket. */
  readonly socketDirectory: string | null;
  /** `starting`, `stopping`, `ready`, `standby` (running, but takes no connections); null before it is known. */
  readonly status: string | null;
}

export function parsePostmasterFile(text: string): PostmasterFile | null {
  const lines = text.split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return null;
  const port = Number(lines[3]);
  return {
    pid,
    dataDirectory: lines[1] ?? '',
    port: Number.isInteger(port) && port > 0 ? port : null,
    socketDirectory: lines[4]?.trim() || null,
    status: lines[7]?.trim() || null,
  };
}

/** Null when there is none, or PostgreSQL is just writing it. */
export async function readPostmasterFile(dataDirectory: string): Promise<PostmasterFile | null> {
  try {
    return parsePostmasterFile(await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8'));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
}
