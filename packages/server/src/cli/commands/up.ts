import { resolve } from 'node:path';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { clusterDirectory } from '../data-dir.ts';
import { localCluster } from '../target.ts';
import { type UpOptions, upSettings } from '../up-settings.ts';

/** Creates or resumes the cluster, here or in a process of its own; one that runs already is left as it is. */
export async function run(context: CommandContext, options: UpOptions): Promise<ExitCode> {
  if (options.url !== undefined)
    throw new UnderstudyError('bad-option', { option: '--url', why: 'a cluster is started on this machine only', command: 'up' });
  const loaded = upSettings(context, options);
  const { path, movedBecause } = await clusterDirectory(loaded, context.cwd);
  if (movedBecause !== null && !options.background) context.terminal.err(`The data goes to ${path}, since ${movedBecause}.\n`);
  const json = options.json ?? false;
  const fromBackup = options.fromBackup === undefined ? null : resolve(context.cwd, options.fromBackup);
  const present = localCluster(path);
  if (present.supervisorPid !== null && !options.background) {
    if (fromBackup !== null) throw new UnderstudyError('restore-into-existing', { path });
    return await (await import('../up-running.ts')).joinRunning(path, loaded, context, options);
  }
  if (options.detach) return await (await import('../up-detached.ts')).startDetached(path, context, json);
  await (await import('../up-foreground.ts')).runForeground(loaded, path, context, {
    json,
    background: options.background ?? false,
    fromBackup,
    reload: () => upSettings(context, options),
  });
  return EXIT.ok;
}
