import type { Terminal } from './terminal.ts';

/** What a command is given besides its own flags. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Asks the person at the terminal a question that is answered by yes or no; null: there is nobody to ask. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
  /** From now on SIGINT and SIGTERM abort this signal instead of ending the process. */
  takeInterrupts(): AbortSignal;
}

/** Flags that every command has. */
export interface TargetOptions {
  readonly data?: string;
  readonly url?: string;
  readonly ca?: string;
  readonly json?: boolean;
}
