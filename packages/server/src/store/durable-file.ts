import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces a file so that after any crash either the old or the new content is there, whole: write aside, fsync, rename,
 * fsync of the directory. Synchronous on purpose: the callers must not answer before it is done, and the files are small.
 */
export function writeDurably(path: string, content: string, mode = 0o600): void {
  const aside = `${path}.new`;
  try {
    writeAside(aside, content, mode);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true, recursive: true });
    throw error;
  }
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** Made anew each time (O_EXCL): where PostgreSQL's account may write, it could have laid a symbolic link there. */
function writeAside(aside: string, content: string, mode: number): void {
  rmSync(aside, { force: true, recursive: true });
  const fd = openSync(aside, 'wx', mode);
  try {
    // Not writeSync: on a full disk that writes a part, says how much, and does not fail.
    writeFileSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
