import { type ErrorCode, UnderstudyError } from '@understudy/core/cluster';
import { PostgresError, type PostgresErrorCode } from '../postgres/errors.ts';

/** The catalogue's name for what went wrong with a server. Those left out keep their own words. */
const CATALOGUE: Partial<Record<PostgresErrorCode, ErrorCode>> = {
  'binaries-not-found': 'no-binaries',
  'binaries-unusable': 'no-binaries',
  'version-unsupported': 'no-binaries',
  'no-unprivileged-account': 'no-account',
  'data-directory-unreachable': 'data-unreachable',
  'data-directory-version': 'wrong-pg-version',
  'data-directory-foreign': 'not-our-directory',
};

/** Puts an error of the PostgreSQL adapter into the user's catalogue; any other passes as it is. */
export function toUserError(error: unknown, details: Readonly<Record<string, string | number>>): unknown {
  if (!(error instanceof PostgresError)) return error;
  const code = CATALOGUE[error.code];
  if (!code) return error;
  return new UnderstudyError(code, { platform: `${process.platform}-${process.arch}`, why: error.message, ...details }, { cause: error });
}
