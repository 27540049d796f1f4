import { lstat, readFile, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoOf } from './errors.ts';

/** One link of native/pg-symlinks.json: npm packages cannot contain symbolic links, so this list stands in for them. */
interface SymlinkEntry {
  /** The file that exists, relative to the package. */
  readonly source: string;
  /** The link to make, relative to the package. */
  readonly target: string;
}

async function readEntries(packageDirectory: string): Promise<readonly SymlinkEntry[]> {
  try {
    return JSON.parse(await readFile(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8')) as SymlinkEntry[];
  } catch (error) {
    // The Windows package needs no links and has no list.
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The links of the embedded package that its install step should have made and that are not there. */
export async function missingSymlinks(packageDirectory: string): Promise<readonly SymlinkEntry[]> {
  const missing: SymlinkEntry[] = [];
  for (const entry of await readEntries(packageDirectory)) {
    const found = await lstat(join(packageDirectory, entry.target)).catch(() => null);
    if (!found) missing.push(entry);
  }
  return missing;
}

/** Makes the missing links. Two processes may do this at the same time. Throws the system's error where we may not write. */
export async function hydrateSymlinks(packageDirectory: string): Promise<void> {
  for (const { source, target } of await missingSymlinks(packageDirectory)) {
    const link = join(packageDirectory, target);
    try {
      await symlink(relative(dirname(link), join(packageDirectory, source)), link);
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
}
