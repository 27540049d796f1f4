import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { UnderstudyError } from '@understudy/core/cluster';

/** Holds a cluster's directory for one supervisor. */
export interface DirectoryLock {
  release(): void;
}

const ATTEMPTS = 5;

/** Takes the lock, or throws `already-running`. A lock whose process is gone is taken over. */
export function lockDirectory(path: string): DirectoryLock {
  const own = `${process.pid} ${statOf(process.pid)?.startTicks ?? ''}\n`;
  const aside = `${path}.${process.pid}`;
  writeFileSync(aside, own, { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // A link appears with its content: nobody ever reads a lock that does not say yet whose it is.
      if (tryLink(aside, path)) return { release: () => release(path, own) };
      const holder = lockHolder(path);
      if (holder !== null) throw new UnderstudyError('already-running', { pid: holder });
      discardStale(path);
    }
  } finally {
    rmSync(aside, { force: true });
  }
  throw new UnderstudyError('already-running', { pid: lockHolder(path) ?? 0 });
}

/** The live process that holds the lock, or null. The start time guards against a process id that was given out again. */
export function lockHolder(path: string): number | null {
  const [pidText, ticks] = (textOf(path) ?? '').trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null;
  const now = statOf(pid)?.startTicks;
  return ticks && now && now !== ticks ? null : pid;
}

/** A zombie counts as dead: in a container nobody may ever collect it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return statOf(pid)?.state !== 'Z';
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

/**
 * Two may find the same lock stale, and one of them may have replaced it by now: so it is moved away, which only one can do, looked at
 * again, and put back if it is somebody's after all.
 */
function discardStale(path: string): void {
  const moved = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, moved);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return;
  }
  if (lockHolder(moved) !== null) tryLink(moved, path);
  rmSync(moved, { force: true });
}

function release(path: string, own: string): void {
  if (textOf(path) === own) rmSync(path, { force: true });
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** Fields 3 (state) and 22 (start time, in ticks) of /proc/PID/stat (proc_pid_stat(5)); the name before them may hold anything. Null where there is no /proc. */
function statOf(pid: number): { state: string; startTicks: string } | null {
  const stat = textOf(`/proc/${pid}/stat`);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, startTicks: fields[19]! };
}
