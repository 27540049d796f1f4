import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { serverProcesses } from '../postgres/index.ts';
import { isAlive } from './lock.ts';
import { clusterPaths } from './paths.ts';

const POLL_MS = 20;

/**
 * Stops PostgreSQL servers of this cluster that outlived their supervisor: a fast shutdown, the deadline shared by all. Returns how
 * many postmasters there were. What does not stop in time is left to the next `up`, which adopts it.
 */
export async function stopOrphans(directory: string, deadlineMs = 30_000): Promise<number> {
  const { members } = clusterPaths(directory);
  if (!existsSync(members)) return 0;
  const postmasters: number[] = [];
  for (const id of readdirSync(members)) {
    const processes = await serverProcesses(join(members, id, 'data'));
    const pids = new Set(processes.map(p => p.pid));
    for (const { pid, parentPid } of processes) if (!pids.has(parentPid)) postmasters.push(pid);
  }
  for (const pid of postmasters) process.kill(pid, 'SIGINT');
  const end = performance.now() + deadlineMs;
  while (postmasters.some(isAlive) && performance.now() < end) await new Promise(resolve => setTimeout(resolve, POLL_MS));
  return postmasters.length;
}
