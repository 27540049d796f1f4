import type { ParseNode } from './parser.ts';

// Small readers for libpg_query's JSON: a field with its zero value is absent, so each has a default.

/** The node's type and its fields; null when it is not a tagged node. */
export function tagged(node: unknown): { readonly type: string; readonly fields: ParseNode } | null {
  if (!isRecord(node)) return null;
  for (const type in node) return isRecord(node[type]) ? { type, fields: node[type] } : null;
  return null;
}

export function isRecord(value: unknown): value is ParseNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function textField(node: ParseNode, field: string): string {
  const value = node[field];
  return typeof value === 'string' ? value : '';
}

export function listField(node: ParseNode, field: string): readonly unknown[] {
  const value = node[field];
  return Array.isArray(value) ? value : [];
}

export function recordField(node: ParseNode, field: string): ParseNode | null {
  const value = node[field];
  return isRecord(value) ? value : null;
}

/** The text of a String node. */
export function stringNode(node: unknown): string {
  const string = isRecord(node) ? recordField(node, 'String') : null;
  return string ? textField(string, 'sval') : '';
}

/** A constant as text: what is between the quotes of a string, a number as written, `true` or `false`. Null for anything else. */
export function constantText(node: unknown): string | null {
  const constant = isRecord(node) ? recordField(node, 'A_Const') : null;
  if (!constant) return null;
  const string = recordField(constant, 'sval');
  if (string) return textField(string, 'sval');
  const float = recordField(constant, 'fval');
  if (float) return textField(float, 'fval');
  const boolean = recordField(constant, 'boolval');
  if (boolean) return boolean['boolval'] === true ? 'true' : 'false';
  const integer = recordField(constant, 'ival');
  return integer ? String(integer['ival'] ?? 0) : null;
}
