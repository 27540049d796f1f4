import { UnderstudyError } from '@understudy/core/cluster';
import type { PlanAnswer } from '../api/types.ts';
import { lockHolder } from '../supervisor/lock.ts';
import { clientOf, type LocalCluster } from './target.ts';
import { poll } from './waiting.ts';

/** A clean shutdown of PostgreSQL writes out all that is in memory. */
const CLEAN_STOP_MS = 60_000;
const CHECK_EVERY_MS = 50;

export interface StopOutcome {
  readonly message: string;
  readonly stopped: boolean;
}

/**
 * Stops everything of a cluster: its supervisor, asked over HTTP or by SIGTERM when it does not listen, and servers that a
 * killed supervisor has left behind. Throws `timed-out`.
 */
export async function stopCluster(cluster: LocalCluster, tell: (text: string) => void): Promise<StopOutcome> {
  const { paths, supervisorPid } = cluster;
  if (supervisorPid === null) return await stopLeftovers(paths.root);
  tell(`Stopping the cluster in ${paths.root}…`);
  await askToStop(cluster, supervisorPid);
  // The lock names the live supervisor; a process id alone could have been given to another.
  const gone = await poll(() => (lockHolder(paths.lock) === supervisorPid ? null : true), CLEAN_STOP_MS, CHECK_EVERY_MS);
  if (!gone)
    throw new UnderstudyError('timed-out', { what: `The end of the supervisor (process ${supervisorPid})`, limitMs: CLEAN_STOP_MS });
  return { message: `The cluster in ${paths.root} is stopped.`, stopped: true };
}

/** What stopping would do. A supervisor that does not answer is stopped by a signal. */
export async function planOfStop(cluster: LocalCluster): Promise<PlanAnswer> {
  const told = (...steps: string[]): PlanAnswer => ({ allowed: true, member: null, steps, refusal: null });
  const { paths, supervisorPid } = cluster;
  if (supervisorPid === null)
    return told(`No supervisor runs; PostgreSQL servers left behind in ${paths.root} are stopped, if there are any.`);
  return await clientOf(cluster)
    .plan({ kind: 'shutdown' })
    .catch(() =>
      told(`The supervisor (process ${supervisorPid}) does not answer; it is told to end by a signal, and stops everything first.`),
    );
}

async function askToStop(cluster: LocalCluster, pid: number): Promise<void> {
  try {
    await clientOf(cluster).operate('POST', '/shutdown', {}, CLEAN_STOP_MS);
  } catch {
    // The lock proves that this process is our supervisor; it takes the signal for the same wish.
    if (lockHolder(cluster.paths.lock) === pid) process.kill(pid, 'SIGTERM');
  }
}

async function stopLeftovers(directory: string): Promise<StopOutcome> {
  const { stopOrphans } = await import('../supervisor/index.ts');
  const servers = await stopOrphans(directory);
  if (servers === 0) return { message: `Nothing runs in ${directory}.`, stopped: false };
  return {
    message: `No supervisor was running; ${servers} PostgreSQL servers that it had left behind in ${directory} are stopped.`,
    stopped: true,
  };
}
