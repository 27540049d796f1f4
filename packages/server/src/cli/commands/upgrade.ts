import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

/** Each server is waited for, and one that has much WAL to replay takes its time. */
const TIMEOUT_MS = 3_600_000;

export async function run(context: CommandContext, options: OperationOptions): Promise<ExitCode> {
  return await operate(context, options, {
    command: 'upgrade',
    method: 'POST',
    path: '/upgrade',
    body: {},
    doing: 'Restarting the servers that run another minor version than is installed',
    timeoutMs: TIMEOUT_MS,
    question: 'PostgreSQL is restarted where another version is installed than runs; clients wait a moment for another primary. Go on?',
    plan: { kind: 'upgrade' },
  });
}
