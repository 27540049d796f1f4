import { type ErrorFields, errorResponse } from '@understudy/wire';

/** Errors that the proxy itself tells its clients, with the SQLSTATE that PostgreSQL uses for the same case. */
export class ProxyFailure extends Error {
  override readonly name = 'ProxyFailure';
  readonly fields: ErrorFields;

  constructor(fields: ErrorFields) {
    super(fields.message);
    this.fields = fields;
  }

  frame(): Buffer {
    return errorResponse(this.fields);
  }
}

const fatal = (code: string, message: string, hint?: string): ProxyFailure =>
  new ProxyFailure({ severity: 'FATAL', code, message, ...(hint === undefined ? {} : { hint }) });
const error = (code: string, message: string, detail?: string, hint?: string): ProxyFailure =>
  new ProxyFailure({
    severity: 'ERROR',
    code,
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
  });

export const wrongPassword = (user: string): ProxyFailure => fatal('28P01', `password authentication failed for user "${user}"`);
export const noUser = (): ProxyFailure => fatal('28000', 'no PostgreSQL user name specified in startup packet');
export const protocolViolation = (message: string): ProxyFailure => fatal('08P01', message);
export const internalError = (): ProxyFailure => fatal('XX000', 'internal error of the router');
export const tooManyClients = (): ProxyFailure => fatal('53300', 'sorry, too many clients already');
export const tooManyClientsOfRole = (user: string): ProxyFailure => fatal('53300', `too many connections for role "${user}"`);
export const tooManyFailedLogins = (): ProxyFailure =>
  fatal('28000', 'too many failed logins for this role from this address', 'Correct the password, then try again in a minute.');
export const tlsRequired = (): ProxyFailure =>
  fatal('28000', 'this router takes connections with TLS only', 'Connect with sslmode=require or better.');
export const invalidAtStartup = (message: string): ProxyFailure => fatal('22023', message);
export const idleTooLong = (): ProxyFailure => fatal('57P05', 'terminating connection due to idle-session timeout');
export const idleInTransactionTooLong = (): ProxyFailure => fatal('25P03', 'terminating connection due to idle-in-transaction timeout');
export const shuttingDown = (): ProxyFailure => fatal('57P01', 'terminating connection because the router is shutting down');
export const cannotCheckLogin = (why: string): ProxyFailure => fatal('57P03', `the password cannot be checked at the moment: ${why}`);
export const noPrimary = (reason: string): ProxyFailure =>
  error('57P03', `there is no primary: ${reason}`, undefined, 'Writes wait for a primary up to the hold timeout; try again.');
/** A standby cluster has no primary, and none is waited for. */
export const standbyCluster = (source: string): ProxyFailure =>
  error(
    '25006',
    `this is a standby cluster and takes no writes: its primary cluster is at ${source}`,
    'A statement that is no plain read, and a transaction that is not READ ONLY, needs a primary.',
    `Connect to ${source}. After the loss of that cluster, \`understudy promote\` makes this one take writes.`,
  );
export const standbyLevel = (source: string): ProxyFailure =>
  error(
    '55000',
    `this standby cluster follows ${source} and cannot know its newest commits: no read here is strong or of a session`,
    undefined,
    "SET understudy.consistency = 'eventual' or 'bounded', or read at the primary cluster.",
  );
export const holdFull = (): ProxyFailure => error('53400', 'too many statements wait for a primary already');
export const noServer = (why: string): ProxyFailure => error('57P03', `no server can take this statement: ${why}`);
export const queueFull = (): ProxyFailure => error('53300', 'too many clients wait for a server connection already');
export const queueTimedOut = (waitedMs: number, connections: number): ProxyFailure =>
  error(
    '53300',
    `no server connection became free within ${waitedMs} ms`,
    `All ${connections} connections of this user and database are in use.`,
    'Shorten the transactions, or raise proxy.poolSize.',
  );
export const canceled = (): ProxyFailure => error('57014', 'canceling statement due to user request');

/** The transaction that was open on the lost primary: its COMMIT was never sent, so nothing of it remains. */
export const rolledBack = (): ProxyFailure =>
  error(
    '57P01',
    'the primary was lost: the open transaction is rolled back',
    'Its COMMIT had not been sent.',
    'Roll back, then run the transaction again.',
  );
export const outcomeUnknown = (): ProxyFailure =>
  error(
    '08007',
    'the primary was lost before it confirmed: the outcome of the transaction is unknown',
    'It may or may not be committed.',
    'Read the data to find out before it is run again.',
  );
export const notReplicated = (): ProxyFailure =>
  error(
    '08007',
    'the wait for replicas was cancelled: the outcome of the transaction is unknown',
    'It is committed on the primary, but a failover may lose it.',
    'Read the data to find out before it is run again.',
  );
export const sessionStateLost = (what: string): ProxyFailure =>
  error('57P01', `the primary was lost, and with it session state: ${what}`, undefined, 'The connection goes on without it.');
export const readInterrupted = (): ProxyFailure => error('57P01', 'the server was lost while it sent the rows of this statement');
export const inFailedTransaction = (): ProxyFailure =>
  error('25P02', 'current transaction is aborted, commands ignored until end of transaction block');
export const mixedRouterCommand = (): ProxyFailure =>
  error('0A000', 'a statement about understudy.* cannot share a pipeline group or a text with other statements');
