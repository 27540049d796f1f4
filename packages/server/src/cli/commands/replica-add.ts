import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

/** A copy of all data may take long. */
const TIMEOUT_MS = 3_600_000;

export async function run(context: CommandContext, options: OperationOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'replica add',
    method: 'POST',
    path: '/replicas',
    body: {},
    doing: 'Adding a replica: copying the primary',
    timeoutMs: TIMEOUT_MS,
    question: null,
    plan: { kind: 'add-replica' },
  });
}
