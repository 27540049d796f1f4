import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

const TIMEOUT_MS = 300_000;

export async function run(context: CommandContext, options: OperationOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'release',
    method: 'POST',
    path: '/release',
    body: {},
    doing: 'Turning every server into a plain one',
    timeoutMs: TIMEOUT_MS,
    question: 'The servers go on without Understudy: nobody takes over any more when the primary fails. Go on?',
    plan: { kind: 'release' },
  });
}
