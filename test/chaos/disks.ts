import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../support/cluster.ts';

/** Room for what the workload writes in an hour, twice: a new copy is made beside the old one. */
const SIZE = '2g';

/**
 * Gives each member of a stopped cluster a small disk of its own (a file system in memory), so that one can be filled. Returns how to take them away again,
 * or null where nothing may be mounted.
 */
export function mountDisks(cluster: Cluster): (() => void) | null {
  const members = join(cluster.data, 'members');
  const mounted: string[] = [];
  const unmount = (): void => {
    for (const path of mounted) run('umount', '-l', path);
  };
  for (const id of readdirSync(members)) {
    const [path, aside] = [join(members, id), join(members, `.${id}`)];
    renameSync(path, aside);
    mkdirSync(path);
    if (!run('mount', '-t', 'tmpfs', '-o', `size=${SIZE}`, 'understudy-chaos', path)) {
      rmSync(path, { recursive: true });
      renameSync(aside, path);
      unmount();
      return null;
    }
    mounted.push(path);
    if (!run('cp', '-a', `${aside}/.`, path)) throw new Error(`${aside} could not be copied`);
    rmSync(aside, { recursive: true, force: true });
  }
  return unmount;
}

/** Whether this process may mount at all. */
export function mayMount(directory: string): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const path = join(directory, 'mount-probe');
  mkdirSync(path);
  const may = run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'understudy-chaos', path);
  if (may) run('umount', path);
  rmSync(path, { recursive: true });
  return may;
}

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0;
}
