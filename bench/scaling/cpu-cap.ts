import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { familyOf, processTable } from '../lib/process-times.ts';

const V1 = '/sys/fs/cgroup/cpu';
const V2 = '/sys/fs/cgroup';
/** Long enough that the quota of a period is more than the slices in which the scheduler hands it out (5 ms), short beside what a client waits for anyway. */
const PERIOD_US = 50_000;

/** A control group whose processes together get so much of one core and no more. */
export class CpuCap {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** `share` of one core. Throws with what is missing when the machine does not let us. */
  static create(name: string, share: number): CpuCap {
    const quotaUs = Math.round(PERIOD_US * share);
    const root = rootOfControlGroups();
    const path = join(root.path, `understudy-bench-${process.pid}-${name}`);
    try {
      mkdirSync(path);
      if (root.version === 2) writeFileSync(join(path, 'cpu.max'), `${quotaUs} ${PERIOD_US}`);
      else {
        writeFileSync(join(path, 'cpu.cfs_period_us'), String(PERIOD_US));
        writeFileSync(join(path, 'cpu.cfs_quota_us'), String(quotaUs));
      }
    } catch (cause) {
      throw new Error(
        `servers cannot be capped in CPU here: ${(cause as Error).message}. It takes root and a cgroup with the cpu controller.`,
        { cause },
      );
    }
    return new CpuCap(path);
  }

  /** Takes in a process and all below it; what they start later is in as well. */
  take(pid: number): void {
    for (const each of familyOf(processTable(), [pid])) {
      try {
        writeFileSync(join(this.#path, 'cgroup.procs'), String(each));
      } catch {
        // It has ended since.
      }
    }
  }

  /** Gives the processes back and removes the group. */
  remove(): void {
    const parent = join(this.#path, '..');
    for (const pid of readFileSync(join(this.#path, 'cgroup.procs'), 'utf8').split('\n')) {
      if (pid === '') continue;
      try {
        writeFileSync(join(parent, 'cgroup.procs'), pid);
      } catch {
        // It has ended since.
      }
    }
    rmdirSync(this.#path);
  }
}

/** Servers by their postmasters, each capped by itself. */
export class Caps {
  readonly #share: number;
  readonly #groups = new Map<number, CpuCap>();
  #made = 0;

  constructor(share: number) {
    this.#share = share;
  }

  /** Caps those that are new, and lets go of those that are there no more. */
  takeAll(pids: readonly number[]): void {
    for (const pid of this.#groups.keys()) if (!pids.includes(pid)) this.#drop(pid);
    for (const pid of pids) {
      if (this.#groups.has(pid)) continue;
      const group = CpuCap.create(String((this.#made += 1)), this.#share);
      this.#groups.set(pid, group);
      group.take(pid);
    }
  }

  release(): void {
    for (const pid of this.#groups.keys()) this.#drop(pid);
  }

  #drop(pid: number): void {
    this.#groups.get(pid)?.remove();
    this.#groups.delete(pid);
  }
}

function rootOfControlGroups(): { readonly version: 1 | 2; readonly path: string } {
  if (existsSync(join(V1, 'cpu.cfs_quota_us')) || existsSync(join(V1, 'cgroup.procs'))) return { version: 1, path: V1 };
  const controllers = existsSync(join(V2, 'cgroup.controllers')) ? readFileSync(join(V2, 'cgroup.controllers'), 'utf8') : '';
  if (!controllers.split(/\s/).includes('cpu'))
    throw new Error('servers cannot be capped in CPU here: there is no cgroup with the cpu controller.');
  if (!readFileSync(join(V2, 'cgroup.subtree_control'), 'utf8').includes('cpu')) writeFileSync(join(V2, 'cgroup.subtree_control'), '+cpu');
  return { version: 2, path: V2 };
}
