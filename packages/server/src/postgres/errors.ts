/** What can go wrong with one PostgreSQL server, as stable kebab-case codes that the catalogue of user-facing errors maps. */
export type PostgresErrorCode =
  /** No binaries for this platform, or the named directory holds none. */
  | 'binaries-not-found'
  /** The binaries are there but do not run, or their version is outside 14–19. */
  | 'binaries-unusable'
  | 'version-unsupported'
  /** Running as root and neither `postgres` nor `nobody` exists. */
  | 'no-unprivileged-account'
  /** The account that runs PostgreSQL cannot enter the directory that was asked for. */
  | 'data-directory-unreachable'
  /** The directory holds something that is not a data directory of ours. */
  | 'data-directory-foreign'
  /** The data directory was made by another major version. */
  | 'data-directory-version'
  | 'data-directory-corrupt'
  /** A data directory that has only ever been a standby (or an unopened backup) must not be started as a primary: it would write on a timeline that is not its own. */
  | 'standby-data-directory'
  | 'initdb-failed'
  | 'port-in-use'
  | 'already-running'
  | 'not-running'
  | 'start-failed'
  | 'start-timeout'
  /** Some process of the server did not die of SIGKILL before the deadline (a disk that does not answer). */
  | 'fence-incomplete'
  /** No answer on a fresh connection before the deadline. */
  | 'server-unresponsive'
  /** The server answered that it does not take connections yet, or no more. */
  | 'server-not-accepting'
  | 'connection-refused'
  | 'authentication-failed'
  | 'query-failed'
  | 'promote-timeout'
  | 'timeline-unavailable'
  | 'isolate-timeout'
  | 'settings-not-in-force'
  | 'clone-aborted'
  | 'clone-failed'
  | 'clone-unverified'
  | 'tablespaces-unsupported'
  | 'system-identifier-mismatch'
  | 'disk-full'
  | 'rewind-unavailable'
  | 'rewind-failed'
  /** The server runs on as a member: its files could not be turned into those of a plain one. */
  | 'release-failed'
  | 'archive-too-large';

/** An error of the adapter: `code` is stable, `message` says what happened, `detail` carries the server's own words (a log tail, a tool's stderr). */
export class PostgresError extends Error {
  override readonly name = 'PostgresError';
  readonly code: PostgresErrorCode;
  readonly detail: string | null;

  constructor(code: PostgresErrorCode, message: string, options: { readonly detail?: string; readonly cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail ?? null;
  }
}

/** The errno name of a system error (`ENOENT`), or null. */
export function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
