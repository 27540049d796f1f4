import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serverProcesses } from '../postgres/index.ts';
import { isAlive } from './lock.ts';
import { clusterPaths } from './paths.ts';

const POLL_MS = 20;

/**
 * Stops PostgreSQL servers of this cluster that outlived their supervisor or agent: a fast shutdown, the deadline shared by all. Returns how
 * many postmasters there were. What does not stop in time is left to the next `up`, which adopts it.
 */
export async function stopOrphans(directory: string, deadlineMs = 30_000): Promise<number> {
  const { members } = clusterPaths(directory);
  return existsSync(members)
    ? await stopServers(
        readdirSync(members).map(id => join(members, id)),
        deadlineMs,
      )
    : 0;
}

/** The same for the members in these directories. */
export async function stopServers(memberDirectories: readonly string[], deadlineMs: number): Promise<number> {
  const postmasters: number[] = [];
  for (const directory of memberDirectories) {
    const processes = await serverProcesses(join(directory, 'data'));
    const pids = new Set(processes.map(p => p.pid));
    for (const { pid, parentPid } of processes) if (!pids.has(parentPid)) postmasters.push(pid);
  }
  for (const pid of postmasters) interrupt(pid);
  const end = performance.now() + deadlineMs;
  while (postmasters.some(isAlive) && performance.now() < end) await new Promise(resolve => setTimeout(resolve, POLL_MS));
  return postmasters.length;
}

function interrupt(pid: number): void {
  try {
    process.kill(pid, 'SIGINT');
  } catch (error) {
    // It ended by itself in the meantime.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
