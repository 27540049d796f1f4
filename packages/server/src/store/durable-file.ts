import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Replaces a file so that after any crash either the old or the new content is there, whole: write aside, fsync, rename,
 * fsync of the directory. Synchronous on purpose: the callers must not answer before it is done, and the files are small.
 */
export function writeDurably(path: string, content: string, mode = 0o600): void {
  const aside = `${path}.new`;
  const fd = openSync(aside, 'w', mode);
  try {
    writeSync(fd, content);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(aside, path);
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
