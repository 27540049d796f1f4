import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './command.ts';
import { type ControlFile, readControlFile } from './control-file.ts';
import { PostgresError } from './errors.ts';
import { dataArguments } from './layout.ts';
import type { ServerSpec } from './replication.ts';

/**
 * Brings a stopped server that crashed to a clean shutdown in single-user mode, where nobody can connect: crash recovery and a checkpoint, no more. pg_rewind needs that,
 * and after it pg_control says exactly where the WAL ends. A directory that is shut down already is left alone.
 * Throws `start-failed`, `data-directory-corrupt`.
 */
export async function recoverToShutdown(spec: ServerSpec, timeoutMs: number): Promise<ControlFile> {
  const { account, paths, provider } = spec;
  const before = await readControlFile(paths.dataDirectory);
  if (before.state === 'shut-down' || before.state === 'shut-down-in-recovery') return before;
  // Single-user mode refuses to run as a standby.
  await rm(join(paths.dataDirectory, 'standby.signal'), { force: true });
  const result = await runCommand(account, provider.postgres, ['--single', ...dataArguments(paths), 'template1'], { timeoutMs });
  const after = await readControlFile(paths.dataDirectory);
  if (result.exitCode === 0 && after.state === 'shut-down') return after;
  throw new PostgresError('start-failed', 'the crashed server could not be recovered', { detail: result.stderr.trim() });
}
