import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface SwitchoverOptions extends OperationOptions {
  readonly to?: string;
}

export async function run(context: CommandContext, options: SwitchoverOptions): Promise<ExitCode> {
  const { to } = options;
  return await operate(context, options, {
    command: 'switchover',
    method: 'POST',
    path: '/switchover',
    body: to === undefined ? {} : { to },
    doing: `Switching over to ${to ?? 'the best replica'}`,
    timeoutMs: 60_000,
    question: `${to ?? 'The best replica'} becomes the primary; clients wait for a moment. Go on?`,
    plan: { kind: 'switchover', ...(to === undefined ? {} : { member: to }) },
  });
}
