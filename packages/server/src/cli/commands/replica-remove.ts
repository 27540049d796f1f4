import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface RemoveOptions extends OperationOptions {
  readonly id: string;
}

export async function run(context: CommandContext, options: RemoveOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'replica remove',
    method: 'DELETE',
    path: `/replicas/${encodeURIComponent(options.id)}`,
    body: {},
    doing: `Removing ${options.id}`,
    timeoutMs: 60_000,
    question: `${options.id} and its data are removed. Go on?`,
    plan: { kind: 'remove-replica', member: options.id },
  });
}
