import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT, type ExitCode, formatBytes } from '@understudy/core/cluster';
import { type BackupAbout, readAbout } from '../../postgres/index.ts';
import { BACKUPS_DIRECTORY, type BackupsOptions } from '../backups.ts';
import type { CommandContext } from '../context.ts';

interface Listed extends BackupAbout {
  readonly directory: string;
}

export async function run(context: CommandContext, options: BackupsOptions): Promise<ExitCode> {
  const parent = resolve(context.cwd, options.into ?? BACKUPS_DIRECTORY);
  const backups = (await found(parent)).toSorted((a, b) => a.takenAtMs - b.takenAtMs);
  if (options.json) context.terminal.out(`${JSON.stringify({ backups })}\n`);
  else if (backups.length === 0) context.terminal.err(`There is no backup in ${parent}; \`understudy backup create\` takes one.\n`);
  else context.terminal.out(backups.map(lineOf).join(''));
  return EXIT.ok;
}

async function found(parent: string): Promise<readonly Listed[]> {
  if (!existsSync(parent)) return [];
  const names = readdirSync(parent, { withFileTypes: true }).filter(entry => entry.isDirectory());
  const read = names.map(async ({ name }) => {
    const directory = join(parent, name);
    return await readAbout(directory).then(
      about => ({ directory, ...about }),
      () => null,
    );
  });
  return (await Promise.all(read)).filter(backup => backup !== null);
}

function lineOf({ directory, takenAtMs, bytes, cluster, serverVersion, timeline, startLsn }: Listed): string {
  const taken = new Date(takenAtMs).toISOString().replace('T', ' ').slice(0, 19);
  return `${taken} UTC  ${formatBytes(bytes).padStart(9)}  ${cluster}, PostgreSQL ${serverVersion}, timeline ${timeline} from ${startLsn}  ${directory}\n`;
}
