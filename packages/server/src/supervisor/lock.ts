import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { UnderstudyError } from '@understudy/core/cluster';

/** Holds a cluster's directory for one supervisor. */
export interface DirectoryLock {
  release(): void;
}

/** Takes the lock, or throws `already-running`. A lock whose process is gone is taken over. */
export function lockDirectory(path: string): DirectoryLock {
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      const fd = openSync(path, 'wx', 0o600);
      writeSync(fd, `${process.pid} ${startTicks(process.pid) ?? ''}\n`);
      closeSync(fd);
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = lockHolder(path);
      if (holder !== null) throw new UnderstudyError('already-running', { pid: holder });
      rmSync(path, { force: true });
    }
  }
  throw new UnderstudyError('already-running', { pid: 0 });
}

/** The live process that holds the lock, or null. The start time guards against a process id that was given out again. */
export function lockHolder(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  const [pidText, ticks] = text.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return null;
  const now = startTicks(pid);
  // A dead process that nobody has waited for still answers to signal 0, in a container without init for ever.
  if (now === 'zombie') return null;
  return ticks && now !== null && now !== ticks ? null : pid;
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

/** When a process started, in the kernel's ticks; `zombie` when it has ended; null where there is no /proc. */
function startTicks(pid: number): string | null {
  return statOf(pid)?.startTicks ?? null;
}

/** Fields 3 (state) and 22 (start time) of /proc/PID/stat (proc_pid_stat(5)); the name before them may hold anything. */
function statOf(pid: number): { state: string; startTicks: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, startTicks: fields[19]! };
  } catch {
    return null;
  }
}
