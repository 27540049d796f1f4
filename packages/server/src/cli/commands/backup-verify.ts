import { resolve } from 'node:path';
import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { verifyBackup } from '../../postgres/index.ts';
import { toBackupError } from '../../supervisor/index.ts';
import type { CommandContext, TargetOptions } from '../context.ts';

export interface BackupVerifyOptions extends TargetOptions {
  readonly backup: string;
}

export async function run(context: CommandContext, options: BackupVerifyOptions): Promise<ExitCode> {
  const directory = resolve(context.cwd, options.backup);
  const about = await verifyBackup(directory).catch((error: unknown) => {
    throw toBackupError(error, directory);
  });
  context.terminal.out(
    options.json
      ? `${JSON.stringify({ directory, ...about })}\n`
      : `${directory} is complete: ${about.files} files agree with the manifest.\n`,
  );
  return EXIT.ok;
}
