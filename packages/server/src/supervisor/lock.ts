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
      if (tryLink(aside, path) || succeed(path, aside)) return { release: () => release(path, own) };
      const holder = lockHolder(path);
      if (holder !== null) throw new UnderstudyError('already-running', { pid: holder });
    }
  } finally {
    rmSync(aside, { force: true });
  }
  throw new UnderstudyError('already-running', { pid: lockHolder(path) ?? 0 });
}

/**
 * Takes over from a holder that is gone. Many may find the same lock stale, so whoever replaces it must first be its one successor: a file named after the
 * dead holder, which only one can make. A successor that died before it was done has a successor of its own. Holding it, the lock is looked at
 * again: it can only still be the stale one if nobody has come before.
 */
function succeed(path: string, aside: string): boolean {
  const stale = textOf(path);
  if (stale === null || livePid(stale) !== null) return false;
  const claims: string[] = [];
  for (let dead = stale; claims.length < ATTEMPTS; ) {
    const claim = `${path}.after.${dead.trim().replace(/\D+/g, '-')}`;
    claims.push(claim);
    if (tryLink(aside, claim)) return replace(path, stale, aside, claims);
    const claimant = textOf(claim);
    if (claimant === null || livePid(claimant) !== null) return false;
    dead = claimant;
  }
  return false;
}

function replace(path: string, stale: string, aside: string, claims: readonly string[]): boolean {
  const isStale = textOf(path) === stale;
  if (isStale) {
    const next = `${aside}.next`;
    linkSync(aside, next);
    renameSync(next, path);
  }
  for (const claim of isStale ? claims : claims.slice(-1)) rmSync(claim, { force: true });
  return isStale;
}

/** The live process that holds the lock, or null. The start time guards against a process id that was given out again. */
export function lockHolder(path: string): number | null {
  return livePid(textOf(path) ?? '');
}

function livePid(text: string): number | null {
  const [pidText, ticks] = text.trim().split(' ');
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
