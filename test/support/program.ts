import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Throws with what it said when it did not end well. */
export function expectDone({ code, stdout, stderr }: Outcome): void {
  if (code !== 0) throw new Error(`it ended with ${code}: ${stdout}${stderr}`);
}

/** Runs a program to its end, at most `limitMs`. */
export function run(
  command: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string; limitMs?: number } = {},
): Promise<Outcome> {
  return outcomeOf(
    spawn(command, args, { ...(options.cwd ? { cwd: options.cwd } : {}), env: { ...process.env, ...options.env } }),
    options.input,
    options.limitMs ?? 120_000,
  );
}

/** `input` null: whoever has the child writes to it. */
export function outcomeOf(child: ChildProcess, input: string | null | undefined, limitMs: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs);
    child.once('error', reject);
    child.once('close', code => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
    if (input !== null) child.stdin?.end(input ?? '');
  });
}

/**
 * Whether a program of Debian's is here. Without it the tests that need it are skipped with one line; in CI it must be there.
 */
export function hasProgram(name: string): boolean {
  const found = spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  if (found) return true;
  if (process.env['CI'] === 'true') throw new Error(`${name} is missing; CI installs it and may skip nothing`);
  process.stderr.write(`skipped: the tests that need ${name}, which is not installed\n`);
  return false;
}
