import { APPLY_DELAY_MS_MAX, type ExitCode, formatDuration, parseDuration, UnderstudyError } from '@understudy/core/cluster';
import type { CommandContext } from '../context.ts';
import { type OperationOptions, operate } from '../operate.ts';

/** A copy of all data may take long. */
const TIMEOUT_MS = 3_600_000;

export interface AddOptions extends OperationOptions {
  readonly delay?: string;
  readonly follows?: string;
}

export async function run(context: CommandContext, options: AddOptions): Promise<ExitCode> {
  const delay = options.delay === undefined ? {} : { applyDelayMs: delayOf(options.delay) };
  return await operate(context, options, {
    command: 'replica add',
    method: 'POST',
    path: '/replicas',
    body: { ...delay, ...(options.follows === undefined ? {} : { follows: options.follows }) },
    doing: 'Adding a replica: copying the primary',
    timeoutMs: TIMEOUT_MS,
    question: null,
    plan: { kind: 'add-replica' },
  });
}

/** Throws `bad-option`. */
function delayOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0 && ms <= APPLY_DELAY_MS_MAX) return ms;
  const why = `must be a time such as 30min or 1h, at most ${formatDuration(APPLY_DELAY_MS_MAX)}`;
  throw new UnderstudyError('bad-option', { option: '--delay', why, command: 'replica add' });
}
