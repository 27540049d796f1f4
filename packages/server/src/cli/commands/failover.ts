import type { ExitCode } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

export interface FailoverOptions extends OperationOptions {
  readonly to?: string;
  readonly acceptDataLoss?: boolean;
}

export async function run(context: CommandContext, options: FailoverOptions): Promise<ExitCode> {
  const { to, acceptDataLoss = false } = options;
  const named = to === undefined ? {} : { to };
  return await operate(context, options, {
    command: 'failover',
    method: 'POST',
    path: '/failover',
    body: { ...named, acceptDataLoss },
    doing: 'Failing over',
    timeoutMs: 60_000,
    question: acceptDataLoss
      ? 'A replica is promoted although acknowledged writes may be lost for good. Go on?'
      : 'A replica is promoted without the help of the primary. Go on?',
    plan: { kind: 'failover', acceptDataLoss: String(acceptDataLoss), ...(to === undefined ? {} : { member: to }) },
  });
}
