/** A request to a process of the application: one statement in the session of this token. */
export interface AppRequest {
  readonly id: number;
  readonly sql: string;
  readonly values: readonly number[];
  readonly token: string | null;
}

export interface AppAnswer {
  readonly id: number;
  readonly rows: readonly Record<string, number>[];
  readonly error: { readonly code: string; readonly message: string } | null;
  /** What the next request must not be older than. */
  readonly token: string | null;
}

export function describeError(error: unknown): { readonly code: string; readonly message: string } {
  const { code = '', message } = error as Error & { code?: string };
  return { code, message };
}
