import { ERRORS, type ErrorCode, UnderstudyError } from '@understudy/core/cluster';
import { asUnderstudyError, errorAnswer } from '../api/errors.ts';
import type { ErrorBody, StatusDocument } from '../api/types.ts';
import type { ProgressEvent } from '../supervisor/progress.ts';

/** What a detached supervisor tells the command that started it. */
export type BackgroundMessage =
  | { readonly kind: 'progress'; readonly event: ProgressEvent }
  | { readonly kind: 'healthy'; readonly status: StatusDocument }
  | { readonly kind: 'failed'; readonly error: ErrorBody };

type Told = Exclude<BackgroundMessage, { kind: 'failed' }> | { readonly kind: 'failed'; readonly error: unknown };

/** Resolves when it is on its way; does nothing once the command has left. */
export async function tellParent(message: Told): Promise<void> {
  if (!process.connected) return;
  const plain = message.kind === 'failed' ? { kind: 'failed', error: errorAnswer(asUnderstudyError(message.error)).error } : message;
  await new Promise<void>(resolve => process.send?.(plain, undefined, undefined, () => resolve()));
}

/** The error that a child told, as if it had happened here. */
export function errorOf({ code, details }: ErrorBody): UnderstudyError {
  return Object.hasOwn(ERRORS, code)
    ? new UnderstudyError(code as ErrorCode, details)
    : new UnderstudyError('internal-error', { why: code });
}
