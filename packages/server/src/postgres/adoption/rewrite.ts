import { randomBytes } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../files.ts';

/** Replaces the text of somebody else's file, which keeps its owner and its mode: a reader, or a crash, sees the old text or the new. */
export async function rewriteFile(named: string, text: string): Promise<void> {
  // Where it is a link, what it leads to.
  const path = await realpath(named);
  const { uid, gid, mode } = await stat(path);
  const side = `${path}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    const file = await open(side, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.chmod(mode & 0o7777);
      if (process.geteuid?.() === 0) await file.chown(uid, gid);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(side, path);
  } catch (error) {
    await rm(side, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}
