/**
 * A node of the raw parse tree in libpg_query's JSON form: an object with one key, the node's type, or a plain record of fields.
 * Fields with their zero value (false, 0, '', empty list) are absent.
 */
export type ParseNode = { readonly [field: string]: unknown };

/** The result of the parser: one entry a statement, in order. */
export interface ParseTree {
  readonly stmts?: readonly { readonly stmt?: ParseNode }[];
}

/**
 * PostgreSQL's own grammar, handed in by whoever runs the router (libpg-query's `parseSync`), so that core depends on no WASM.
 * May throw anything at all for a text that it does not accept.
 */
export interface SqlParser {
  parse(sql: string): ParseTree;
}
