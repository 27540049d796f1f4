import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface RestartOptions extends OperationOptions {
  readonly member?: string;
  readonly all?: boolean;
}

/** Each server is waited for, and one that has much WAL to replay takes its time. */
const TIMEOUT_MS = 3_600_000;

export async function run(context: CommandContext, options: RestartOptions): Promise<ExitCode> {
  const { member, all = false } = options;
  const which = member ?? (all ? 'every server, one after the other' : 'the servers with settings that wait for it');
  return await operate(context, options, {
    command: 'restart',
    method: 'POST',
    path: '/restart',
    body: { ...(member === undefined ? {} : { member }), ...(all ? { all } : {}) },
    doing: `Restarting ${which}`,
    timeoutMs: TIMEOUT_MS,
    question: `PostgreSQL is restarted: ${which}. Reads go elsewhere meanwhile, clients wait a moment for another primary. Go on?`,
    plan: { kind: 'restart', ...(member === undefined ? {} : { member }), ...(all ? { all: 'true' } : {}) },
  });
}
