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
  const { follows } = options;
  const applyDelayMs = options.delay === undefined ? undefined : delayOf(options.delay);
  return await operate(context, options, {
    command: 'replica add',
    method: 'POST',
    path: '/replicas',
    body: { applyDelayMs, follows },
    doing: `Adding a replica: copying ${follows ?? 'the primary'}`,
    timeoutMs: TIMEOUT_MS,
    question: null,
    plan: {
      kind: 'add-replica',
      ...(applyDelayMs === undefined ? {} : { applyDelayMs: String(applyDelayMs) }),
      ...(follows === undefined ? {} : { follows }),
    },
  });
}

/** Throws `bad-option`. */
function delayOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== null && ms > 0 && ms <= APPLY_DELAY_MS_MAX) return ms;
  const why = `must be a time such as 30min or 1h, at most ${formatDuration(APPLY_DELAY_MS_MAX)}`;
  throw new UnderstudyError('bad-option', { option: '--delay', why, command: 'replica add' });
}
