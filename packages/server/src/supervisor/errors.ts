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

/** What went wrong with a backup, in the user's catalogue. */
export function toBackupError(error: unknown, path: string): unknown {
  if (!(error instanceof PostgresError)) return error;
  const detail = error.detail ? ` (${error.detail.trim().split('\n').slice(0, 3).join('; ')})` : '';
  const why = `${error.message}${detail}`;
  switch (error.code) {
    case 'data-directory-foreign':
      return new UnderstudyError('backup-exists', { path }, { cause: error });
    case 'clone-unverified':
      return new UnderstudyError('bad-backup', { path, why }, { cause: error });
    case 'data-directory-version':
      return new UnderstudyError('backup-version', { why }, { cause: error });
    default:
      return new UnderstudyError('backup-failed', { why }, { cause: error });
  }
}
