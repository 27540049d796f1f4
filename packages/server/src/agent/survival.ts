import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { PostgresError } from '../postgres/index.ts';

/** What systemd leaves of a service's processes when its own program has ended: all, or none. */
const SURVIVED: ReadonlySet<string> = new Set(['process', 'none']);

/** The unit of systemd that processes of this control group (/proc/PID/cgroup) belong to; null: no service. Pure. */
export function serviceOf(cgroup: string): string | null {
  const path = cgroup.split('\n').find(line => line.startsWith('0::') || line.includes(':name=systemd:'));
  return /\/([^/]+\.service)(\/|$)/.exec(path ?? '')?.[1] ?? null;
}

/**
 * Throws `release-failed` where PostgreSQL would be killed at the end of this service: by a systemd unit that ends all of its processes, or in a container whose first
 * process we belong to. One that was started by something else, and adopted, is not concerned.
 */
export async function requireSurvival(pid: number | null): Promise<void> {
  if (pid === null || process.platform !== 'linux') return;
  if (process.ppid === 1)
    throw new PostgresError('release-failed', 'this service is the first process of a container: PostgreSQL would end with it');
  const [server, own] = await Promise.all([pid, 'self'].map(of => readFile(`/proc/${of}/cgroup`, 'utf8').then(serviceOf, () => null)));
  if (server == null || server !== own) return;
  const mode = await promisify(execFile)('systemctl', ['show', '--property=KillMode', '--value', server]).then(
    ({ stdout }) => stdout.trim(),
    () => 'unknown',
  );
  if (!SURVIVED.has(mode))
    throw new PostgresError(
      'release-failed',
      `systemd would kill PostgreSQL with ${server} (KillMode=${mode}): set KillMode=process, and systemctl daemon-reload`,
    );
}
