import { join } from 'node:path';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import type { Cluster } from './cluster.ts';

/** Signals processes; one that has ended meanwhile, as PostgreSQL's workers do at any time, is passed over. */
export function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** The pids of a member's PostgreSQL. */
export async function postgresPids(cluster: Cluster, member: string): Promise<number[]> {
  return (await serverProcesses(join(cluster.data, 'members', member, 'data'))).map(({ pid }) => pid);
}

/** Stops an agent and all of its PostgreSQL, as a machine that stands still. Resolves to how it goes on. */
export async function freeze(
  cluster: Cluster,
  { id, agentPid }: { readonly id: string; readonly agentPid: number | null },
): Promise<() => void> {
  const pids = [agentPid!, ...(await postgresPids(cluster, id))];
  signalAll(pids, 'SIGSTOP');
  return () => signalAll(pids, 'SIGCONT');
}
