import { type Classified, classifyStatement, type FunctionKnowledge, isReplicaRead } from './classify.ts';
import { type Hints, NO_HINTS } from './hints.ts';
import type { ParseTree } from './parser.ts';
import type { Reason, ReasonCode } from './reasons.ts';
import type { Demand, FunctionCall, Statement, Unit } from './statement.ts';

/** Puts the statements of one text together: they share one server, so the strongest demand wins. */
export function unitOf(tree: ParseTree, hints: Hints, knowledge: FunctionKnowledge): Unit {
  const classified: Classified[] = [];
  for (const { stmt } of tree.stmts ?? []) if (stmt !== undefined) classified.push(classifyStatement(stmt, knowledge));
  const statements = classified.map(one => one.statement);
  const [demand, reason] = hinted(combinedDemand(statements), hints);
  return {
    demand,
    reason,
    statements,
    effects: classified.flatMap(one => one.effects),
    functions: distinct(classified.flatMap(one => one.functions)),
    unknownFunctions: distinct(classified.flatMap(one => one.unknownFunctions)),
    hints,
    plainRead: demand === 'replica' && classified.length === 1 && classified[0]?.plain === true,
  };
}

/** A unit of which nothing is known but that it must go to the primary. */
export function unknownUnit(code: ReasonCode, hints: Hints = NO_HINTS): Unit {
  const reason: Reason = { code, detail: '' };
  return {
    demand: 'primary',
    reason,
    statements: [{ kind: 'unknown', reason }],
    effects: [],
    functions: [],
    unknownFunctions: [],
    hints,
    plainRead: false,
  };
}

function combinedDemand(statements: readonly Statement[]): [Demand, Reason] {
  const first = statements[0];
  if (first === undefined) return ['session', { code: 'empty', detail: '' }];
  if (statements.length === 1) return [statementDemand(first), first.reason];
  for (const statement of statements) if (statementDemand(statement) === 'primary') return ['primary', statement.reason];
  if (statements.every(statement => statementDemand(statement) === 'replica')) return ['replica', first.reason];
  if (statements.every(statement => statement.kind === 'session')) return ['session', first.reason];
  return ['primary', { code: 'several-statements', detail: '' }];
}

function statementDemand(statement: Statement): Demand {
  switch (statement.kind) {
    case 'read':
    case 'copy':
      return isReplicaRead(statement.reason) ? 'replica' : 'primary';
    case 'transaction':
      return statement.reason.code === 'two-phase-commit' ? 'primary' : 'session';
    case 'session':
      return statement.reason.code === 'session-state' || statement.reason.code === 'cursor' ? 'session' : 'primary';
    case 'router':
      return 'router';
    case 'write':
    case 'utility':
    case 'unknown':
      return 'primary';
    default:
      return statement satisfies never;
  }
}

/** Reasons that are guesses about a read, which the application may know better. A statement that surely writes stays on the primary. */
const OVERRULED: ReadonlySet<ReasonCode> = new Set<ReasonCode>([
  'function-unknown',
  'function-volatile',
  'function-of-server',
  'relation-of-server',
  'show',
]);

function hinted([demand, reason]: [Demand, Reason], hints: Hints): [Demand, Reason] {
  if (hints.route === 'primary' && demand === 'replica') return ['primary', { code: 'hint-primary', detail: '' }];
  if (hints.route === 'replica' && demand === 'primary' && OVERRULED.has(reason.code))
    return ['replica', { code: 'hint-replica', detail: '' }];
  return [demand, reason];
}

function distinct(calls: readonly FunctionCall[]): readonly FunctionCall[] {
  if (calls.length < 2) return calls;
  return [...new Map(calls.map(call => [JSON.stringify([call.schema, call.name]), call])).values()];
}
