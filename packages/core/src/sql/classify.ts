import { functionEffect } from './function-effects.ts';
import { type FunctionFacts, type FunctionOverrides, judgeFunction } from './functions.ts';
import { type Findings, type FoundCall, inspect, isTemporary } from './inspect.ts';
import type { ParseNode } from './parser.ts';
import type { Reason, ReasonCode } from './reasons.ts';
import { routerShow } from './router-commands.ts';
import { booleanSetting, classifySet, ROUTER_PREFIX, transactionModes } from './settings.ts';
import type { FunctionCall, SessionEffect, Statement, TransactionControl } from './statement.ts';
import { constantText, isRecord, listField, recordField, stringNode, tagged, textField } from './tree.ts';

/** One statement and what goes with it. */
export interface Classified {
  readonly statement: Statement;
  readonly effects: readonly SessionEffect[];
  readonly functions: readonly FunctionCall[];
  readonly unknownFunctions: readonly FunctionCall[];
  /** True when nothing but plain functions are called and nothing is locked or changed. */
  readonly plain: boolean;
}

/** What functions mean in the database at hand. */
export interface FunctionKnowledge {
  readonly facts: FunctionFacts;
  readonly overrides: FunctionOverrides;
}

const reason = (code: ReasonCode, detail: string = ''): Reason => ({ code, detail });

/** Classifies one statement's tree (what stands under `stmt`). */
export function classifyStatement(node: unknown, knowledge: FunctionKnowledge): Classified {
  const top = tagged(node);
  if (!top) return simple({ kind: 'unknown', reason: reason('unparsable') });
  const { type, fields } = top;
  switch (type) {
    case 'SelectStmt':
      return classifyQuery(fields, knowledge);
    case 'InsertStmt':
      return classifyChange('insert', fields, knowledge);
    case 'UpdateStmt':
      return classifyChange('update', fields, knowledge);
    case 'DeleteStmt':
      return classifyChange('delete', fields, knowledge);
    case 'MergeStmt':
      return classifyChange('merge', fields, knowledge);
    case 'CallStmt':
      return classifyChange('call', fields, knowledge);
    case 'ExplainStmt':
      return classifyExplain(fields, knowledge);
    case 'CopyStmt':
      return classifyCopy(fields, knowledge);
    case 'CreateTableAsStmt':
      return classifyChange('ddl', fields, knowledge, isTemporaryTarget(fields));
    case 'TransactionStmt':
      return simple(classifyTransaction(fields));
    default:
      return simple(classifyCommand(type, fields));
  }
}

function simple(statement: Statement): Classified {
  const effects = statement.kind === 'session' ? [statement.effect] : [];
  return { statement, effects, functions: [], unknownFunctions: [], plain: false };
}

/** A SELECT, VALUES or TABLE. */
function classifyQuery(fields: ParseNode, knowledge: FunctionKnowledge): Classified {
  const findings = inspect(fields);
  const judged = judgeCalls(findings.calls, knowledge);
  const effects = findings.makesTemporary ? [...judged.effects, { kind: 'temporary-object' } as const] : judged.effects;
  const statement = queryStatement(findings, judged.reason);
  const plain = judged.plain && isReplicaRead(statement.reason) && effects.length === 0;
  return { statement, effects, functions: judged.functions, unknownFunctions: judged.unknown, plain };
}

function queryStatement(findings: Findings, functions: Reason | null): Statement {
  if (findings.strong) return { kind: 'write', reason: findings.strong };
  if (functions?.code === 'function-writes') return { kind: 'write', reason: functions };
  const because = functions ?? findings.owned ?? reason(isCatalogRead(findings) ? 'read-catalog' : 'read');
  return { kind: 'read', reason: because };
}

const REPLICA_READS: ReadonlySet<ReasonCode> = new Set<ReasonCode>(['read', 'read-catalog', 'explain-read', 'copy-out']);

/** True when nothing is said against a replica. */
export function isReplicaRead(because: Reason): boolean {
  return REPLICA_READS.has(because.code);
}

function isCatalogRead(findings: Findings): boolean {
  return findings.relations > 0 && findings.relations === findings.catalogRelations;
}

/** A statement that writes whatever it calls; its calls are told all the same. */
function classifyChange(code: ReasonCode, fields: ParseNode, knowledge: FunctionKnowledge, temporary: boolean = false): Classified {
  const judged = judgeCalls(inspect(fields).calls, knowledge);
  const effects: SessionEffect[] = temporary ? [...judged.effects, { kind: 'temporary-object' }] : judged.effects;
  return { statement: { kind: 'write', reason: reason(code) }, effects, functions: judged.functions, unknownFunctions: [], plain: false };
}

interface JudgedCalls {
  readonly reason: Reason | null;
  readonly effects: SessionEffect[];
  readonly functions: readonly FunctionCall[];
  readonly unknown: readonly FunctionCall[];
  readonly plain: boolean;
}

/** What is known counts before what is not: the reason given is the one that no look-up will change. */
function judgeCalls(calls: readonly FoundCall[], knowledge: FunctionKnowledge): JudgedCalls {
  const effects: SessionEffect[] = [];
  const functions = new Map<string, FunctionCall>();
  const unknown: FunctionCall[] = [];
  let known: Reason | null = null;
  let plain = true;
  for (const call of calls) {
    const effect = functionEffect(call);
    if (effect) effects.push(effect);
    const key = call.schema === null ? call.name : `${call.schema}.${call.name}`;
    if (functions.has(key)) continue;
    const named = { schema: call.schema, name: call.name };
    functions.set(key, named);
    const judgement = judgeFunction(named, knowledge.facts, knowledge.overrides);
    plain &&= judgement.kind === 'plain';
    if (judgement.kind === 'primary') known ??= reason(judgement.code, key);
    if (judgement.kind === 'unknown') unknown.push(named);
  }
  const first = unknown[0];
  const because =
    known ?? (first ? reason('function-unknown', first.schema === null ? first.name : `${first.schema}.${first.name}`) : null);
  return { reason: because, effects, functions: [...functions.values()], unknown, plain };
}

function classifyExplain(fields: ParseNode, knowledge: FunctionKnowledge): Classified {
  const inner = classifyStatement(fields['query'], knowledge);
  if (isReplicaRead(inner.statement.reason)) return { ...inner, statement: { kind: 'read', reason: reason('explain-read') }, plain: false };
  const because = reason('explain-write');
  if (explainRuns(fields)) return { ...inner, statement: { kind: 'write', reason: because }, plain: false };
  return { ...inner, statement: { kind: 'utility', reason: because }, effects: [], plain: false };
}

/** EXPLAIN ANALYZE runs its statement; of an option given twice the last counts. */
function explainRuns(fields: ParseNode): boolean {
  let runs = false;
  for (const option of listField(fields, 'options')) {
    const element = isRecord(option) ? recordField(option, 'DefElem') : null;
    if (!element || textField(element, 'defname') !== 'analyze') continue;
    runs = element['arg'] === undefined ? true : (booleanSetting(argumentText(element['arg'])) ?? true);
  }
  return runs;
}

function argumentText(node: unknown): string {
  const text = stringNode(node) || constantText(node);
  if (text !== null && text !== '') return text;
  const integer = isRecord(node) ? recordField(node, 'Integer') : null;
  return integer ? String(integer['ival'] ?? 0) : '';
}

function classifyCopy(fields: ParseNode, knowledge: FunctionKnowledge): Classified {
  const direction = fields['is_from'] === true ? 'in' : 'out';
  const through = fields['filename'] !== undefined || fields['is_program'] === true ? 'server-file' : 'client';
  const copy = (because: Reason): Statement => ({ kind: 'copy', reason: because, direction, through });
  const query = fields['query'] === undefined ? null : classifyStatement(fields['query'], knowledge);
  const source = query ?? { effects: [], functions: [], unknownFunctions: [] };
  if (direction === 'in') return { ...source, statement: copy(reason('copy-in')), plain: false };
  if (through === 'server-file') return { ...source, statement: copy(reason('copy-server-file')), plain: false };
  const owned = query ? null : inspect({ RangeVar: fields['relation'] }).owned;
  const because = query && !isReplicaRead(query.statement.reason) ? query.statement.reason : (owned ?? reason('copy-out'));
  return { ...source, statement: copy(because), plain: false };
}

function classifyTransaction(fields: ParseNode): Statement {
  const kind = textField(fields, 'kind');
  const name = textField(fields, 'savepoint_name');
  const chain = fields['chain'] === true;
  const control = transactionControl(kind, name, chain, listField(fields, 'options'));
  if (!control) return { kind: 'unknown', reason: reason('unparsable', kind) };
  const twoPhase = control.kind === 'prepare-transaction' || control.kind === 'commit-prepared' || control.kind === 'rollback-prepared';
  return { kind: 'transaction', reason: reason(twoPhase ? 'two-phase-commit' : 'transaction-control'), control };
}

function transactionControl(kind: string, name: string, chain: boolean, options: readonly unknown[]): TransactionControl | null {
  switch (kind) {
    case 'TRANS_STMT_BEGIN':
    case 'TRANS_STMT_START':
      return { kind: 'begin', modes: transactionModes(options) };
    case 'TRANS_STMT_COMMIT':
      return { kind: 'commit', chain };
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'rollback', chain };
    case 'TRANS_STMT_SAVEPOINT':
      return { kind: 'savepoint', name };
    case 'TRANS_STMT_RELEASE':
      return { kind: 'release', name };
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'rollback-to', name };
    case 'TRANS_STMT_PREPARE':
      return { kind: 'prepare-transaction' };
    case 'TRANS_STMT_COMMIT_PREPARED':
      return { kind: 'commit-prepared' };
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return { kind: 'rollback-prepared' };
    default:
      return null;
  }
}

/** Utility commands that are no queries. What is not named here changes the definition of the database, or is treated as if it did. */
function classifyCommand(type: string, fields: ParseNode): Statement {
  switch (type) {
    case 'VariableSetStmt':
      return classifySet(fields);
    case 'VariableShowStmt':
      return classifyShow(textField(fields, 'name').toLowerCase());
    case 'DoStmt':
      return { kind: 'write', reason: reason('do-block') };
    case 'NotifyStmt':
      return { kind: 'write', reason: reason('notify', textField(fields, 'conditionname')) };
    case 'LockStmt':
      return { kind: 'utility', reason: reason('lock-table') };
    case 'ConstraintsSetStmt':
      return { kind: 'utility', reason: reason('session-state', 'constraints') };
    case 'CreatedbStmt':
    case 'DropdbStmt':
      return { kind: 'write', reason: reason('whole-database', textField(fields, 'dbname')) };
    case 'RenameStmt':
      if (fields['renameType'] === 'OBJECT_DATABASE')
        return { kind: 'write', reason: reason('whole-database', textField(fields, 'subname')) };
      return { kind: 'write', reason: reason('ddl') };
    case 'VacuumStmt':
    case 'ClusterStmt':
    case 'ReindexStmt':
    case 'CheckPointStmt':
    case 'RefreshMatViewStmt':
    case 'AlterSystemStmt':
    case 'RepackStmt':
      return { kind: 'utility', reason: reason('maintenance') };
    default: {
      const effect = backendEffect(type, fields);
      if (effect) return { kind: 'session', reason: reason(effectReason(effect)), effect };
      if (isTemporaryTarget(fields)) return { kind: 'session', reason: reason('temporary-object'), effect: { kind: 'temporary-object' } };
      return { kind: 'write', reason: reason('ddl') };
    }
  }
}

function classifyShow(name: string): Statement {
  if (!name.startsWith(ROUTER_PREFIX)) return { kind: 'utility', reason: reason('show', name) };
  return { kind: 'router', reason: reason('router-command', name), command: routerShow(name.slice(ROUTER_PREFIX.length)) };
}

/** Statements about what one backend holds for the session. */
function backendEffect(type: string, fields: ParseNode): SessionEffect | null {
  const name = (field: string): string | null => textField(fields, field) || null;
  switch (type) {
    case 'ListenStmt':
      return { kind: 'listen', channel: textField(fields, 'conditionname') };
    case 'UnlistenStmt':
      return { kind: 'unlisten', channel: name('conditionname') };
    case 'PrepareStmt':
      return { kind: 'prepare', name: textField(fields, 'name') };
    case 'ExecuteStmt':
      return { kind: 'execute', name: textField(fields, 'name') };
    case 'DeallocateStmt':
      return { kind: 'deallocate', name: name('name') };
    case 'DeclareCursorStmt':
      return { kind: 'declare-cursor', name: textField(fields, 'portalname'), hold: isHeld(fields['options']) };
    case 'FetchStmt':
      return { kind: 'fetch-cursor', name: textField(fields, 'portalname') };
    case 'ClosePortalStmt':
      return { kind: 'close-cursor', name: name('portalname') };
    case 'DiscardStmt':
      return { kind: 'discard', target: discardTarget(textField(fields, 'target')) };
    case 'LoadStmt':
      return { kind: 'load', library: textField(fields, 'filename') };
    default:
      return null;
  }
}

/** CURSOR_OPT_HOLD (src/include/nodes/parsenodes.h). */
const CURSOR_HOLD = 0x20;

function isHeld(options: unknown): boolean {
  return typeof options === 'number' && (options & CURSOR_HOLD) !== 0;
}

function discardTarget(target: string): 'all' | 'plans' | 'sequences' | 'temp' {
  switch (target) {
    case 'DISCARD_PLANS':
      return 'plans';
    case 'DISCARD_SEQUENCES':
      return 'sequences';
    case 'DISCARD_TEMP':
      return 'temp';
    default:
      return 'all';
  }
}

function effectReason(effect: SessionEffect): ReasonCode {
  switch (effect.kind) {
    case 'listen':
    case 'unlisten':
      return 'listen';
    case 'prepare':
    case 'execute':
    case 'deallocate':
      return 'prepared-in-session';
    case 'declare-cursor':
    case 'fetch-cursor':
    case 'close-cursor':
      return 'cursor';
    default:
      return 'session-state';
  }
}

/** CREATE TEMP TABLE, VIEW or SEQUENCE, CREATE TABLE AS into one, or anything made in pg_temp. */
function isTemporaryTarget(fields: ParseNode): boolean {
  const into = recordField(fields, 'into');
  const targets = [
    into && recordField(into, 'rel'),
    recordField(fields, 'relation'),
    recordField(fields, 'view'),
    recordField(fields, 'sequence'),
  ];
  return targets.some(isTemporary);
}
