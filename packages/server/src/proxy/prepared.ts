import type { CachedStatement } from '@understudy/core/sql';
import { type ErrorFields, errorResponse } from '@understudy/wire';

/**
 * One statement that a client prepared over the protocol. On servers it goes by a name of the proxy's own, so that the same client can
 * have it on several servers, and several clients can share a server.
 */
export interface PreparedStatement {
  /** Unique in the process. */
  readonly id: number;
  /** '' is the unnamed statement. */
  readonly clientName: string;
  readonly serverName: string;
  /** The client's Parse message, whole. */
  readonly frame: Buffer;
  readonly sql: CachedStatement;
  /** A statement that already had this name when this one was parsed: PostgreSQL refuses with 42P05. */
  readonly conflictsWith: PreparedStatement | null;
  /** Its text is a DEALLOCATE of this statement; on servers it names it as they know it. */
  readonly deallocates: PreparedStatement | null;
  /** Whether some server accepted it. */
  state: 'pending' | 'accepted' | 'refused';
}

/** Prefix of the names on servers. A client that uses it itself is answered as for any unknown name. */
export const SERVER_NAME_PREFIX = 'understudy_';

/** Names that a client asks for but never prepared must not hit a name of the proxy's. */
export function nameForUnknown(clientName: string): string {
  return clientName.startsWith(SERVER_NAME_PREFIX) ? `?${clientName}` : clientName;
}

/** What is prepared on one server connection. */
export class PreparedOnServer {
  readonly #ids = new Set<number>();
  /** The unnamed statement that the server has, or will have once it has read what was sent. */
  unnamed: PreparedStatement | null = null;
  /** Statements that the client closed while another server served it. */
  readonly #toClose = new Map<number, string>();

  has(statement: PreparedStatement): boolean {
    return this.#ids.has(statement.id);
  }

  add(statement: PreparedStatement): void {
    this.#ids.add(statement.id);
  }

  forget(statement: PreparedStatement): void {
    this.#ids.delete(statement.id);
  }

  forgetAll(): void {
    this.#ids.clear();
    this.#toClose.clear();
    this.unnamed = null;
  }

  /** The client has closed the statement elsewhere; here it goes with the next work. */
  closeLater(statement: PreparedStatement): void {
    this.#ids.delete(statement.id);
    this.#toClose.set(statement.id, statement.serverName);
  }

  takeClosable(): readonly string[] {
    if (this.#toClose.size === 0) return [];
    const names = [...this.#toClose.values()];
    this.#toClose.clear();
    return names;
  }
}

/** SQLSTATEs whose text names a prepared statement: unknown, already there. */
const NAMING: ReadonlySet<string> = new Set(['26000', '42P05']);

/** The error with the client's own name of a statement in place of the server's; null when nothing is to be changed. */
export function renameInError(fields: ErrorFields, messages: readonly { readonly statement: PreparedStatement | null }[]): Buffer | null {
  if (!NAMING.has(fields.code) || !fields.message.includes(SERVER_NAME_PREFIX)) return null;
  let message = fields.message.replaceAll(`?${SERVER_NAME_PREFIX}`, SERVER_NAME_PREFIX);
  for (const { statement } of messages) {
    for (const one of [statement, statement?.conflictsWith ?? null])
      if (one !== null) message = message.replaceAll(`"${one.serverName}"`, `"${one.clientName}"`);
  }
  return errorResponse({ ...fields, message });
}
