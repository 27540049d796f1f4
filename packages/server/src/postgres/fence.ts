import { PostgresError } from './errors.ts';
import { type ProcessInfo, serverProcesses } from './processes.ts';
import { readPostmasterFile } from './postmaster-file.ts';
import { pollUntil } from './wait.ts';

const POLL_MS = 5;

/**
 * Kills every process of the server in this data directory, for certain, and returns how many there were. SIGKILL of the process group
 * would not be enough: PostgreSQL's children each have a session of their own (setsid in fork_process.c). The postmaster is stopped first, so
 * that it starts nobody while its children are killed. Works on stopped processes, and on the orphans of a dead postmaster.
 * Throws `fence-incomplete` when something still lives after `deadlineMs`: a process that waits for a disk dies only when that answers.
 */
export async function fenceServer(dataDirectory: string, deadlineMs: number): Promise<number> {
  const killed = new Set<string>();
  const postmaster = await readPostmasterFile(dataDirectory).catch(() => null);
  let left: readonly ProcessInfo[] = [];
  const done = await pollUntil(
    async () => {
      left = await serverProcesses(dataDirectory);
      if (left.length === 0) return true;
      const first = left.find(info => info.pid === postmaster?.pid);
      if (first) signal(first.pid, 'SIGSTOP');
      for (const info of first ? await serverProcesses(dataDirectory) : left) {
        killed.add(`${info.pid} ${info.startedAt}`);
        signal(info.pid, 'SIGKILL');
      }
      return null;
    },
    { intervalMs: POLL_MS, deadlineMs },
  );
  if (done === null) {
    throw new PostgresError(
      'fence-incomplete',
      `${left.length} processes of ${dataDirectory} did not die within ${deadlineMs} ms: ${left.map(info => info.pid).join(', ')}`,
    );
  }
  return killed.size;
}

function signal(pid: number, name: 'SIGSTOP' | 'SIGKILL'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone already; the next look tells.
  }
}
