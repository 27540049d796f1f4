import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface PromoteOptions extends OperationOptions {
  readonly acceptDataLoss?: boolean;
  readonly split?: boolean;
}

export async function run(context: CommandContext, options: PromoteOptions): Promise<ExitCode> {
  const { acceptDataLoss = false, split = false } = options;
  return await operate(context, options, {
    command: 'promote',
    method: 'POST',
    path: '/promote',
    body: { acceptDataLoss, split },
    doing: 'Promoting the standby cluster',
    timeoutMs: 60_000,
    question: split
      ? 'Two clusters will take writes, each with some that the other lacks. Go on?'
      : acceptDataLoss
        ? 'What the source wrote last may be lost. Is it fenced, so that it takes no writes any more?'
        : 'This cluster will take writes, and its source must not any more. Go on?',
    plan: { kind: 'promote', acceptDataLoss: String(acceptDataLoss), split: String(split) },
  });
}
