import pg from 'pg';

/** Errors of the router itself, as pg gives errors of a server, with the SQLSTATE that PostgreSQL uses for the same case. */
function databaseError(code: string, message: string, detail?: string, hint?: string): pg.DatabaseError {
  const error = new pg.DatabaseError(message, message.length, 'error');
  error.code = code;
  error.severity = 'ERROR';
  if (detail !== undefined) error.detail = detail;
  if (hint !== undefined) error.hint = hint;
  return error;
}

export const noPrimary = (reason: string): Error =>
  databaseError('57P03', `there is no primary: ${reason}`, undefined, 'Writes wait for a primary up to holdTimeoutMs; try again.');
export const holdFull = (): Error => databaseError('53400', 'too many statements wait for a server already (maxHeld)');
export const noServer = (why: string): Error => databaseError('57P03', `no server can take this statement: ${why}`);
/** A standby cluster has no primary, and none is waited for. */
export const standbyCluster = (source: string): Error =>
  databaseError(
    '25006',
    `this is a standby cluster and takes no writes: its primary cluster is at ${source}`,
    'A statement that is no plain read, and a transaction that is not READ ONLY, needs a primary.',
    `Connect to ${source}.`,
  );
export const standbyLevel = (source: string): Error =>
  databaseError(
    '55000',
    `this standby cluster follows ${source} and cannot know its newest commits: no read here is strong or of a session`,
    undefined,
    "Read at level 'eventual' or 'bounded', or at the primary cluster.",
  );
export const shuttingDown = (): Error => databaseError('57P01', 'the pool was ended');
/** The transaction that was open on the lost server: its COMMIT was never sent, so nothing of it remains. */
export const rolledBack = (): Error =>
  databaseError(
    '57P01',
    'the server was lost: the open transaction is rolled back',
    'Its COMMIT had not been sent.',
    'Roll back, then run the transaction again.',
  );
export const outcomeUnknown = (): Error =>
  databaseError(
    '08007',
    'the primary was lost before it confirmed: the outcome of the transaction is unknown',
    'It may or may not be committed.',
    'Read the data to find out before it is run again.',
  );
export const notReplicated = (): Error =>
  databaseError(
    '08007',
    'the wait for replicas was cancelled: the outcome of the transaction is unknown',
    'It is committed on the primary, but a failover may lose it.',
    'Read the data to find out before it is run again.',
  );
export const sessionStateLost = (what: string): Error =>
  databaseError('57P01', `the server was lost, and with it session state: ${what}`, undefined, 'The client goes on without it.');
export const readInterrupted = (): Error => databaseError('57P01', 'the server was lost while it sent the rows of this statement');
export const inFailedTransaction = (): Error =>
  databaseError('25P02', 'current transaction is aborted, commands ignored until end of transaction block');
export const invalidRouterCommand = (code: string, message: string): Error => databaseError(code, message);
export const lockOnReplica = (): Error =>
  databaseError(
    '25006',
    'a read-only transaction that runs on a replica cannot take locks or use state of the primary',
    undefined,
    'Begin it with a comment: /* understudy:primary */ BEGIN READ ONLY.',
  );

/** What pg gives to callbacks, of whatever origin. */
export interface QueryError extends Error {
  readonly code?: string;
  readonly severity?: string;
}

/** The server itself ended the session with it. */
export const isFatal = ({ severity }: QueryError): boolean => severity === 'FATAL' || severity === 'PANIC';
