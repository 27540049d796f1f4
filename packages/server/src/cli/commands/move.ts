import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface MoveOptions extends OperationOptions {
  readonly from: string;
  readonly to: string;
}

/** The new member takes a copy of all data. */
const TIMEOUT_MS = 3_600_000;

export async function run(context: CommandContext, options: MoveOptions): Promise<ExitCode> {
  const { from, to } = options;
  return await operate(context, options, {
    command: 'move',
    method: 'POST',
    path: '/move',
    body: { from, to },
    doing: `Waiting for ${to} to take the place of ${from}`,
    timeoutMs: TIMEOUT_MS,
    question: `${to} takes the place of ${from}; then ${from} and its data are removed. Go on?`,
    plan: { kind: 'move', member: from, to },
  });
}
