import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext, TargetOptions } from '../context.ts';
import { operate } from '../operate.ts';

export async function run(context: CommandContext, options: TargetOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'resume',
    method: 'POST',
    path: '/resume',
    body: {},
    doing: 'Resuming',
    timeoutMs: 30_000,
    question: null,
    plan: null,
  });
}
