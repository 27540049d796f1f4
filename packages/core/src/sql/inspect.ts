import { relationOwner } from './builtins.ts';
import type { ParseNode } from './parser.ts';
import type { Reason, ReasonCode } from './reasons.ts';
import type { FunctionCall } from './statement.ts';
import { constantText, isRecord, listField, recordField, stringNode, textField } from './tree.ts';

/** A call as found, with what its routing may depend on. */
export interface FoundCall extends FunctionCall {
  /** Constant arguments as text, in order; null where an argument is no constant or is named. */
  readonly constants: readonly (string | null)[];
}

/** What is found anywhere below a statement, subqueries and WITH queries included. */
export interface Findings {
  /** The strongest construct that needs the primary whatever the functions do; null when there is none. */
  strong: Reason | null;
  /** A relation that tells of the server or the session. */
  owned: Reason | null;
  readonly calls: FoundCall[];
  makesTemporary: boolean;
  relations: number;
  catalogRelations: number;
}

/** The stronger a construct, the earlier: what is told to the user when there are several. */
const STRENGTH: readonly ReasonCode[] = ['select-into', 'writing-cte', 'row-lock'];

/**
 * Finds what matters for routing in a tree. Goes by its own stack, since the depth of a tree is the client's choice, and by the tags of
 * nodes wherever they stand, so that a construct new to us cannot hide one that we know.
 */
export function inspect(root: unknown): Findings {
  const findings: Findings = { strong: null, owned: null, calls: [], makesTemporary: false, relations: 0, catalogRelations: 0 };
  const pending: unknown[] = [root];
  while (pending.length > 0) {
    const node = pending.pop();
    if (Array.isArray(node)) {
      for (let i = node.length - 1; i >= 0; i--) pending.push(node[i]);
    } else if (isRecord(node)) {
      const below: unknown[] = [];
      for (const field in node) {
        const value = node[field];
        if (typeof value !== 'object' || value === null) continue;
        if (isRecord(value)) note(findings, field, value);
        below.push(value);
      }
      for (let i = below.length - 1; i >= 0; i--) pending.push(below[i]);
    }
  }
  return findings;
}

function note(findings: Findings, tag: string, node: ParseNode): void {
  switch (tag) {
    case 'FuncCall':
    case 'funccall':
      findings.calls.push(functionCall(node));
      return;
    case 'LockingClause':
      return strengthen(findings, { code: 'row-lock', detail: '' });
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return strengthen(findings, { code: 'writing-cte', detail: '' });
    case 'intoClause':
      findings.makesTemporary ||= isTemporary(recordField(node, 'rel'));
      return strengthen(findings, { code: 'select-into', detail: '' });
    case 'RangeVar':
      return noteRelation(findings, node);
    default:
  }
}

function strengthen(findings: Findings, reason: Reason): void {
  if (findings.strong === null || STRENGTH.indexOf(reason.code) < STRENGTH.indexOf(findings.strong.code)) findings.strong = reason;
}

function noteRelation(findings: Findings, relation: ParseNode): void {
  const schema = textField(relation, 'schemaname') || null;
  const name = textField(relation, 'relname');
  findings.relations++;
  if (schema === 'pg_catalog' || schema === 'information_schema' || (schema === null && name.startsWith('pg_')))
    findings.catalogRelations++;
  const owner = relationOwner(schema, name);
  if (owner) findings.owned ??= { code: owner === 'server' ? 'relation-of-server' : 'relation-of-session', detail: name };
}

/** Whether the relation to be made is written with TEMP, or lies in the schema of temporary objects. */
export function isTemporary(relation: ParseNode | null): boolean {
  return relation !== null && (relation['relpersistence'] === 't' || textField(relation, 'schemaname') === 'pg_temp');
}

function functionCall(node: ParseNode): FoundCall {
  const path = listField(node, 'funcname').map(stringNode);
  return {
    schema: path.length > 1 ? (path[path.length - 2] as string) : null,
    name: path[path.length - 1] ?? '',
    constants: listField(node, 'args').map(constantText),
  };
}
