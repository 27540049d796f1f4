import type { ServerConnection } from '../servers/connection.ts';

/** Far above what any operating system gives to a process, and still an int4. */
const FIRST = 0x4000_0000;
const LAST = 0x7fff_ffff;
const CANCELLERS: ReadonlySet<string> = new Set(['pg_cancel_backend', 'pg_terminate_backend']);

/** Whoever has a virtual process id. */
export interface Cancellable {
  /** What its statement runs on at the moment. */
  readonly connectionInUse: ServerConnection | null;
}

const owners = new Map<number, WeakRef<Cancellable>>();
const gone = new FinalizationRegistry<number>(id => owners.delete(id));
let next = FIRST;

/** A number that stands for the client in place of a server's process id, which changes with every statement. */
export function newProcessId(owner: Cancellable): number {
  const id = next;
  next = next === LAST ? FIRST : next + 1;
  owners.set(id, new WeakRef(owner));
  gone.register(owner, id);
  return id;
}

/** Whether a statement calls a function that is given process ids. */
export function cancels(functions: readonly { readonly name: string }[]): boolean {
  return functions.some(({ name }) => CANCELLERS.has(name));
}

/** A statement about virtual process ids, told in those of a server; `server` null: nothing runs there, any server will say so. */
export interface Translated {
  readonly text: string;
  readonly values: unknown[] | undefined;
  readonly server: string | null;
}

/** Null when no virtual id is in it. */
export function translate(text: string, values: readonly unknown[] | undefined): Translated | null {
  let found: Cancellable | undefined;
  const real = (value: unknown): unknown => {
    const owner = ownerOf(value);
    if (owner === undefined) return value;
    found = owner;
    // No process has the id 0: PostgreSQL answers that there is none.
    return owner.connectionInUse?.processId ?? 0;
  };
  const newValues = values?.map(real);
  const newText = text.replace(/\b1\d{9}\b/g, digits => String(real(digits)));
  return found === undefined ? null : { text: newText, values: newValues, server: found.connectionInUse?.server ?? null };
}

function ownerOf(value: unknown): Cancellable | undefined {
  const id = typeof value === 'string' && /^\d{10}$/.test(value) ? Number(value) : value;
  return typeof id === 'number' ? owners.get(id)?.deref() : undefined;
}
