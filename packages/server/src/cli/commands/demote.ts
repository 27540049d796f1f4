import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { existingClusterDirectory } from '../data-dir.ts';
import { type OperationOptions, operate } from '../operate.ts';
import { localCluster } from '../target.ts';
import { loadSettings } from '../../settings/load.ts';

export interface DemoteOptions extends OperationOptions {
  readonly standbyOf?: string;
}

/** A cluster of this machine that does not run is made a standby in its files: so that it never takes a write when it is started. */
export async function run(context: CommandContext, options: DemoteOptions): Promise<ExitCode> {
  const { standbyOf } = options;
  if (standbyOf === undefined)
    throw new UnderstudyError('bad-usage', {
      why: 'It must be said which cluster is to be followed: --standby-of "host=…"',
      help: 'understudy demote --help',
    });
  if (options.url === undefined && !options.dryRun) {
    const loaded = loadSettings({ flags: { data: options.data }, env: context.env, cwd: context.cwd, command: 'demote', configPath: null });
    const path = await existingClusterDirectory(loaded, context.cwd);
    if (localCluster(path).supervisorPid === null) return await demoteStopped(context, options, path, standbyOf);
  }
  return await operate(context, options, {
    command: 'demote',
    method: 'POST',
    path: '/demote',
    body: { standbyOf },
    doing: 'Making the cluster a standby',
    timeoutMs: 60_000,
    question: 'This cluster takes no writes any more, and what the other one lacks of it is set aside. Go on?',
    plan: { kind: 'demote', standbyOf },
  });
}

async function demoteStopped(context: CommandContext, options: DemoteOptions, path: string, standbyOf: string): Promise<ExitCode> {
  const question = `The cluster in ${path} does not run; it will be started as a standby. Go on?`;
  if (!options.yes && !options.json && context.confirm !== null && !(await context.confirm(question)))
    throw new UnderstudyError('not-confirmed', { what: '`understudy demote`' });
  const { demoteDirectory } = await import('../../supervisor/demote-directory.ts');
  const message = await demoteDirectory(path, standbyOf);
  context.terminal.out(options.json ? `${JSON.stringify({ message })}\n` : `${message}\n`);
  return EXIT.ok;
}
