import type { CachedStatement } from '@understudy/core/sql';
import { type ErrorFields, errorResponse, frontend } from '@understudy/wire';
import { type KnownText, SERVER_NAME_PREFIX, type ServerStatement } from './statements.ts';

/**
 * One statement that a client prepared over the protocol. On servers it goes by a name of the proxy's own, so that the same client can
 * have it on several servers, and several clients can share it on one.
 */
export interface PreparedStatement {
  /** '' is the unnamed statement. */
  readonly clientName: string;
  readonly text: KnownText;
  /** What it is on servers, decided when it is first sent; null: not sent yet, or sent as the unnamed statement. */
  onServers: ServerStatement | null;
  readonly sql: CachedStatement;
  /** A statement that already had this name when this one was parsed: PostgreSQL refuses with 42P05. */
  readonly conflictsWith: PreparedStatement | null;
  /** Its text is a DEALLOCATE of this statement; on servers it names it as they know it. */
  readonly deallocates: PreparedStatement | null;
  /** Whether some server accepted it. */
  state: 'pending' | 'accepted' | 'refused';
}

/** Names that a client asks for but never prepared must not hit a name of the proxy's. */
export function nameForUnknown(clientName: string): string {
  return clientName.startsWith(SERVER_NAME_PREFIX) ? `?${clientName}` : clientName;
}

interface Entry {
  readonly statement: ServerStatement;
  /** The group of messages up to a Sync in which it was sent to be prepared; READY once the server has said so. */
  group: number;
  lastUse: number;
}

const READY = -1;

/** What is prepared on one server connection. */
export class PreparedOnServer {
  readonly #entries = new Map<number, Entry>();
  /** Whose unnamed statement the server has, with the group in which it was sent; READY once the server has said so. */
  #unnamed: { readonly statement: PreparedStatement; group: number } | null = null;
  /** Settings that texts are read under may differ from what is known, until the transaction is over: nothing is shared. */
  inDoubt = false;
  #toClose: ServerStatement[] = [];
  #group = 0;
  #uses = 0;

  /**
   * True when the statement can be used by what is sent next. One that is only on its way counts in its own group alone: an error
   * before it would skip it.
   */
  has(statement: ServerStatement): boolean {
    const entry = this.#entries.get(statement.id);
    if (entry === undefined || (entry.group !== READY && entry.group !== this.#group)) return false;
    entry.lastUse = ++this.#uses;
    return true;
  }

  /** True when what is sent next finds this statement as the unnamed one; under the same conditions as {@link has}. */
  hasUnnamed(statement: PreparedStatement): boolean {
    const unnamed = this.#unnamed;
    return unnamed?.statement === statement && (unnamed.group === READY || unnamed.group === this.#group);
  }

  /** It is sent to be the unnamed statement. Call what is returned with the outcome: one that was skipped left another client's in its place. */
  setUnnamed(statement: PreparedStatement): (ok: boolean) => void {
    const unnamed = { statement, group: this.#group };
    this.#unnamed = unnamed;
    return ok => {
      if (ok) unnamed.group = READY;
      else if (this.#unnamed === unnamed) this.#unnamed = null;
    };
  }

  dropUnnamed(): void {
    this.#unnamed = null;
  }

  /** It is sent to be prepared. Call what is returned with the outcome. */
  add(statement: ServerStatement): (ok: boolean) => void {
    const entry = { statement, group: this.#group, lastUse: ++this.#uses };
    this.#entries.set(statement.id, entry);
    return ok => {
      if (ok) entry.group = READY;
      else if (this.#entries.get(statement.id) === entry) this.#entries.delete(statement.id);
    };
  }

  forget(statement: ServerStatement): void {
    this.#entries.delete(statement.id);
  }

  forgetAll(): void {
    this.#entries.clear();
    this.#toClose = [];
    this.#unnamed = null;
  }

  /** It may not fit any more: it is dropped with the next work, and prepared anew when it is needed. */
  retire(statement: ServerStatement): void {
    if (this.#entries.delete(statement.id)) this.#toClose.push(statement);
  }

  retireAll(): void {
    for (const { statement } of this.#entries.values()) this.#toClose.push(statement);
    this.#entries.clear();
  }

  /** The next message belongs to another group: a Sync, or a message that needs none, was sent. */
  groupEnds(): void {
    this.#group += 1;
  }

  /** What is to be closed now: the statements retired, and the least used ones over the limit. */
  takeClosable(limit: number): readonly ServerStatement[] {
    if (this.#entries.size > limit) this.#retireOldest(this.#entries.size - Math.ceil(limit * 0.9));
    if (this.#toClose.length === 0) return NONE;
    const closable = this.#toClose;
    this.#toClose = [];
    return closable;
  }

  #retireOldest(count: number): void {
    const ready = [...this.#entries.values()].filter(entry => entry.group === READY).sort((a, b) => a.lastUse - b.lastUse);
    for (const { statement } of ready.slice(0, count)) this.retire(statement);
  }
}

const NONE: readonly ServerStatement[] = [];

/** A Close that closes nothing: the server answers it as any other. */
export const CLOSE_NOTHING: Buffer = frontend.close({ kind: 'statement', name: `${SERVER_NAME_PREFIX}none` });

/** SQLSTATEs whose text names a prepared statement: unknown, already there. */
const NAMING: ReadonlySet<string> = new Set(['26000', '42P05']);

/** The error with the client's own name of a statement in place of the server's; null when nothing is to be changed. */
export function renameInError(fields: ErrorFields, messages: readonly { readonly statement: PreparedStatement | null }[]): Buffer | null {
  if (!NAMING.has(fields.code) || !fields.message.includes(SERVER_NAME_PREFIX)) return null;
  let message = fields.message.replaceAll(`?${SERVER_NAME_PREFIX}`, SERVER_NAME_PREFIX);
  for (const { statement } of messages) {
    for (const one of [statement, statement?.conflictsWith ?? null, statement?.deallocates ?? null]) {
      if (one?.onServers != null) message = message.replaceAll(`"${one.onServers.serverName}"`, `"${one.clientName}"`);
    }
  }
  return errorResponse({ ...fields, message });
}
