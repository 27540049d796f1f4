import { ERRORS, type ErrorCode, UnderstudyError } from '@understudy/core/cluster';
import { HTTPException } from 'hono/http-exception';
import type { ErrorAnswer } from './types.ts';

/** Statuses that say more than the exit code of the same error does. */
const STATUS: Partial<Record<ErrorCode, ErrorStatus>> = {
  'bad-token': 401,
  'cross-site': 403,
  'no-such-path': 404,
  'unknown-member': 404,
  'no-such-chapter': 404,
  'internal-error': 500,
};

/** The HTTP statuses of errors. */
export type ErrorStatus = 400 | 401 | 403 | 404 | 409 | 413 | 500 | 503 | 504;

export function statusOf(code: ErrorCode): ErrorStatus {
  const own = STATUS[code];
  if (own !== undefined) return own;
  const { exit } = ERRORS[code];
  switch (exit) {
    case 'usage':
      return 400;
    case 'refused':
      return 409;
    case 'timedOut':
      return 504;
    case 'noPrimary':
      return 503;
    case 'error':
      return 500;
    default:
      return exit satisfies never;
  }
}

export function errorAnswer(error: UnderstudyError): ErrorAnswer {
  return { error: { code: error.code, message: error.message, action: error.action, details: error.details } };
}

/** Any failure of a request as an error of the catalogue. What is not from the catalogue is a defect, and says so. */
export function asUnderstudyError(error: unknown): UnderstudyError {
  if (error instanceof UnderstudyError) return error;
  if (error instanceof HTTPException) return new UnderstudyError('bad-request', { why: error.message || `status ${error.status}` });
  return new UnderstudyError('internal-error', { why: error instanceof Error ? error.message : String(error) }, { cause: error });
}
