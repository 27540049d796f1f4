import type { Account } from './account.ts';
import { runCommand } from './command.ts';
import { PostgresError } from './errors.ts';
import type { Provider } from './provider.ts';

/** Recovery of a large backup comes before the first statement. */
const TIMEOUT_MS = 3_600_000;

export interface SingleUserOptions {
  readonly provider: Provider;
  readonly account: Account | null;
  readonly directory: string;
  readonly statements: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Runs SQL in single-user mode: there is no port that anybody could connect to. Statements are kept out of the log, since they hold passwords;
 * exit_on_error because that mode otherwise goes on after an error and ends with 0. A commit waits for no replica here. Throws `initdb-failed`.
 */
export async function runSingleUser({ account, provider, directory, statements, signal }: SingleUserOptions): Promise<void> {
  const settings = [
    'exit_on_error=true',
    'log_min_error_statement=panic',
    'password_encryption=scram-sha-256',
    'search_path=pg_catalog',
    'log_checkpoints=off',
    'synchronous_standby_names=',
  ];
  const result = await runCommand(
    account,
    provider.postgres,
    ['--single', '-j', ...settings.flatMap(setting => ['-c', setting]), '-D', directory, 'postgres'],
    { input: statements.join(';\n\n').concat(';\n\n'), timeoutMs: TIMEOUT_MS, ...(signal ? { signal } : {}) },
  );
  if (result.exitCode !== 0)
    throw new PostgresError('initdb-failed', `setting the roles in ${directory} failed`, { detail: result.stderr.trim() });
}

export function quoteLiteral(value: string): string {
  if (value.includes('\\') || value.includes('\n')) throw new RangeError('a generated password holds no backslash and no line break');
  return `'${value.replace(/'/g, "''")}'`;
}
