import { createHash, randomBytes } from 'node:crypto';
import { cp, lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { errnoOf, PostgresError } from './errors.ts';
import { exists } from './files.ts';
import { hydrateSymlinks } from './symlinks.ts';

/** Static libraries and build files are a third of the package and of no use to a running server. */
function isNeeded(source: string): boolean {
  return extname(source) !== '.a' && !source.endsWith('/pkgconfig');
}

/**
 * Copies the native folder of an embedded package to `<copyDirectory>/<version>-<hash>` and returns that folder. The copy is made in
 * a side directory and renamed into place, so that a half copy is never used; the hash covers names and sizes, so that another
 * build never meets an old copy. Throws `binaries-unusable`.
 */
export async function copyBinaries(packageDirectory: string, copyDirectory: string): Promise<string> {
  const manifest = JSON.parse(await readFile(join(packageDirectory, 'package.json'), 'utf8')) as { version: string };
  const fingerprint = await fingerprintTree(join(packageDirectory, 'native'));
  const copy = join(copyDirectory, `${manifest.version}-${fingerprint.slice(0, 16)}`);
  if ((await exists(copy)) && (await fingerprintTree(join(copy, 'native'))) === fingerprint) return join(copy, 'native');

  const side = `${copy}.${randomBytes(4).toString('hex')}.tmp`;
  try {
    await mkdir(side, { recursive: true, mode: 0o755 });
    await cp(join(packageDirectory, 'native'), join(side, 'native'), { recursive: true, verbatimSymlinks: true, filter: isNeeded });
    await hydrateSymlinks(side);
    if ((await fingerprintTree(join(side, 'native'))) !== fingerprint) {
      throw new PostgresError('binaries-unusable', `the copy of the PostgreSQL binaries in ${side} is not complete`);
    }
    await replaceDirectory(side, copy);
  } finally {
    await rm(side, { recursive: true, force: true });
  }
  return join(copy, 'native');
}

/** Another process may have made the same copy meanwhile: then that one is as good. A damaged one is moved away first. */
async function replaceDirectory(side: string, final: string): Promise<void> {
  try {
    await rename(side, final);
  } catch (error) {
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
    const away = `${side}.old`;
    await rename(final, away);
    await rename(side, final);
    await rm(away, { recursive: true, force: true });
  }
}

/** Names and sizes of all regular files that a copy must hold; links are made anew from the package's list. */
async function fingerprintTree(root: string): Promise<string> {
  const hash = createHash('sha256');
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name));
  for (const file of files.sort()) {
    if (!isNeeded(file) || file.includes('/pkgconfig/')) continue;
    hash.update(`${file.slice(root.length)}\0${(await lstat(file)).size}\n`);
  }
  return hash.digest('hex');
}
