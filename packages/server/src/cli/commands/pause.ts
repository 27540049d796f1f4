import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export async function run(context: CommandContext, options: OperationOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'pause',
    method: 'POST',
    path: '/pause',
    body: {},
    doing: 'Pausing',
    timeoutMs: 30_000,
    question: null,
    plan: { kind: 'pause' },
  });
}
