import { spawn } from 'node:child_process';
import type { Account } from './account.ts';

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
}

/** The most output that is kept of a tool: its last words matter. */
const OUTPUT_LIMIT_CHARS = 64 * 1024;

/** Environment for PostgreSQL's programs: nothing of ours leaks in (PGDATA, PGHOST, locale), messages are English. */
export function postgresEnvironment(): NodeJS.ProcessEnv {
  const { PATH, TZ, TMPDIR } = process.env;
  return { PATH: PATH ?? '/usr/bin:/bin', LC_ALL: 'C', ...(TZ === undefined ? {} : { TZ }), ...(TMPDIR === undefined ? {} : { TMPDIR }) };
}

/** The spawn options that make a child run as the account; empty when that is ourselves. */
export function asAccount(account: Account | null): { uid?: number; gid?: number } {
  return account ? { uid: account.uid, gid: account.gid } : {};
}

/**
 * Runs a program to its end as the account, with `input` on stdin. Output is bounded (the last 64 Ki characters of each stream);
 * after `timeoutMs` or an abort it is killed. Rejects only when it cannot be started.
 */
export function runCommand(
  account: Account | null,
  file: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly input?: string;
    readonly cwd?: string;
    readonly signal?: AbortSignal;
    readonly env?: NodeJS.ProcessEnv;
  },
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      ...asAccount(account),
      cwd: options.cwd ?? '/',
      env: { ...postgresEnvironment(), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    let timedOut = false;
    const kill = (): boolean => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      timedOut = true;
      kill();
    }, options.timeoutMs);
    options.signal?.addEventListener('abort', kill, { once: true });
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-OUTPUT_LIMIT_CHARS);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-OUTPUT_LIMIT_CHARS);
    });
    const settle = (): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', kill);
    };
    child.once('error', error => {
      settle();
      reject(error);
    });
    child.once('close', exitCode => {
      settle();
      resolve({ exitCode, stdout, stderr, timedOut });
    });
    // A program that ends without reading its input is told by its exit code.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
  });
}
