import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Installs the packages of a directory that has a lock file of its own: what only some tests need is no part of the project. Once for each lock file. */
export function installLocked(directory: string): void {
  const lock = readFileSync(join(directory, 'package-lock.json'), 'utf8');
  const mark = join(directory, 'node_modules', '.understudy-lock');
  if (existsSync(mark) && readFileSync(mark, 'utf8') === lock) return;
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: directory, stdio: 'pipe' });
  writeFileSync(mark, lock);
}
