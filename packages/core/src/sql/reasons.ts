/** Why a statement was put where it is. A closed list: each has one sentence in {@link describeReason}. */
export type ReasonCode =
  | 'read'
  | 'read-catalog'
  | 'empty'
  | 'explain-read'
  | 'copy-out'
  | 'insert'
  | 'update'
  | 'delete'
  | 'merge'
  | 'writing-cte'
  | 'row-lock'
  | 'select-into'
  | 'call'
  | 'do-block'
  | 'copy-in'
  | 'copy-server-file'
  | 'ddl'
  | 'whole-database'
  | 'maintenance'
  | 'lock-table'
  | 'notify'
  | 'explain-write'
  | 'function-writes'
  | 'function-of-session'
  | 'function-of-server'
  | 'function-of-primary'
  | 'function-volatile'
  | 'function-unknown'
  | 'function-denied'
  | 'relation-of-server'
  | 'relation-of-session'
  | 'show'
  | 'session-state'
  | 'listen'
  | 'prepared-in-session'
  | 'cursor'
  | 'temporary-object'
  | 'transaction-control'
  | 'two-phase-commit'
  | 'several-statements'
  | 'router-command'
  | 'unparsable'
  | 'too-long'
  | 'refused-read-only'
  | 'hint-primary'
  | 'hint-replica';

/** `detail` names the function, relation or setting where there is one, else it is empty. */
export interface Reason {
  readonly code: ReasonCode;
  readonly detail: string;
}

const SENTENCES: Readonly<Record<ReasonCode, string>> = {
  read: 'reads only; any replica that is fresh enough may answer',
  'read-catalog': 'reads the system catalogue, which is the same on every server',
  empty: 'no statement in the text',
  'explain-read': 'explains a read',
  'copy-out': 'copies rows out to the client',
  insert: 'INSERT writes',
  update: 'UPDATE writes',
  delete: 'DELETE writes',
  merge: 'MERGE writes',
  'writing-cte': 'a WITH query in it writes',
  'row-lock': 'locks the rows it reads (FOR UPDATE or FOR SHARE), which only the primary can',
  'select-into': 'SELECT INTO creates a table',
  call: 'CALL runs a procedure, which may write',
  'do-block': 'DO runs a code block, which may write',
  'copy-in': 'COPY FROM writes',
  'copy-server-file': 'COPY reads or writes a file or a program on the server',
  ddl: 'changes the definition of the database',
  'whole-database': 'is about a whole database, to which nobody may be connected',
  maintenance: 'is maintenance work of the primary',
  'lock-table': 'LOCK TABLE means nothing on another server than the one that takes the writes',
  notify: 'NOTIFY is sent from the primary',
  'explain-write': 'explains a statement that belongs on the primary',
  'function-writes': 'calls a function that writes',
  'function-of-session': 'calls a function that reads or changes the state of the session on its backend',
  'function-of-server': 'calls a function that acts on, or tells of, the server it runs on',
  'function-of-primary': 'calls a function that only the primary can answer',
  'function-volatile': 'calls a volatile function, which may write',
  'function-unknown': 'calls a function of which nothing is known yet, and which may write',
  'function-denied': 'calls a function that the configuration sends to the primary',
  'relation-of-server': 'reads a view of the running server, which tells of the server it is read on',
  'relation-of-session': 'reads a relation that belongs to the session on its backend',
  show: 'SHOW tells a setting of the server the session is on; clients ask it to learn whether they may write',
  'session-state': 'changes the state of the session',
  listen: 'LISTEN is served by the primary, where NOTIFY is sent',
  'prepared-in-session': 'concerns a statement prepared with SQL on its backend',
  cursor: 'concerns a cursor, which lives on its backend',
  'temporary-object': 'makes a temporary object, which lives on its backend',
  'transaction-control': 'begins, ends or marks a transaction',
  'two-phase-commit': 'is two-phase commit, which only the primary can do',
  'several-statements': 'several statements in one text, one of which is transaction control or session state',
  'router-command': 'is answered by the router itself',
  unparsable: 'is not understood by the grammar of PostgreSQL 18',
  'too-long': 'is longer than what is given to the parser',
  'refused-read-only': 'was refused by a replica before, as it writes (25006)',
  'hint-primary': 'a comment in front of it asks for the primary',
  'hint-replica': 'a comment in front of it asks for a replica',
};

/** One sentence for people: `SELECT … calls a function that writes: nextval`. */
export function describeReason(reason: Reason): string {
  const sentence = SENTENCES[reason.code];
  return reason.detail === '' ? sentence : `${sentence}: ${reason.detail}`;
}
