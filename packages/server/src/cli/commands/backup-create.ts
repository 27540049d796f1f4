import { resolve, join } from 'node:path';
import { EXIT, type ExitCode, formatBytes, UnderstudyError } from '@understudy/core/cluster';
import { takeBackup } from '../../postgres/index.ts';
import { toBackupError } from '../../supervisor/index.ts';
import { BACKUPS_DIRECTORY, type BackupsOptions } from '../backups.ts';
import type { CommandContext } from '../context.ts';
import { tellPlan } from '../operate.ts';
import { connect } from '../target.ts';

export interface BackupCreateOptions extends BackupsOptions {
  readonly dryRun?: boolean;
}

/** Copies the primary: only there is it certain that every acknowledged commit is in. */
export async function run(context: CommandContext, options: BackupCreateOptions): Promise<ExitCode> {
  const client = await connect(context, options, 'backup');
  const status = await client.status();
  const url = new URL(await client.connectionUrl('primary'));
  const name = `${status.cluster}-${new Date().toISOString().replaceAll(/[-:]|[.]\d+/g, '')}`;
  const directory = join(resolve(context.cwd, options.into ?? BACKUPS_DIRECTORY), name);
  if (options.dryRun) {
    const { host } = url;
    const steps = [
      `All data of ${status.primary ?? 'the primary'} (${host}) is copied over the replication protocol while it works, with the WAL that the copy needs.`,
      `It goes to ${directory}.unfinished, and every file is compared with PostgreSQL's manifest on the way.`,
      `When all is right it is named ${directory}. Nothing that is there is overwritten.`,
    ];
    return tellPlan(context, options, { allowed: true, member: status.primary, steps, refusal: null });
  }
  if (!options.json) context.terminal.err(`Copying ${status.primary ?? 'the primary'}…\n`);
  const endpoint = { host: url.hostname.replaceAll(/[[\]]/g, ''), port: Number(url.port), password: decodeURIComponent(url.password) };
  const about = await takeBackup(endpoint, status.cluster, directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EACCES' || error.code === 'ENOSPC')
      throw new UnderstudyError('backup-failed', { why: error.message }, { cause: error });
    throw toBackupError(error, directory);
  });
  const text = `${directory}\n${formatBytes(about.bytes)} in ${about.files} files of PostgreSQL ${about.serverVersion}, every file checked.\n`;
  context.terminal.out(options.json ? `${JSON.stringify({ directory, ...about })}\n` : text);
  return EXIT.ok;
}
