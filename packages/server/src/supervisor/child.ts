import { type ChildProcess, fork, type StdioOptions } from 'node:child_process';
import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Link } from '../store/link.ts';
import { programUrl } from '../program-url.ts';
import { childLink } from '../store/process-link.ts';

const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 5000;
/** A child that lived this long is not taken for one that cannot start. */
const SETTLED_MS = 10_000;
/** The log is set aside (one generation) at this size, when a child starts. */
const LOG_LIMIT_BYTES = 8 * 1024 * 1024;

/** Behind the three of every process and the channel to us. */
export const FIRST_HANDED_FD = 4;

export interface ChildOptions {
  readonly name: string;
  /** Module beside this one's folder, without its extension: `agent/main`. */
  readonly entry: string;
  readonly logFile: string;
  /** Descriptors of ours that each life of the child has as well, as {@link FIRST_HANDED_FD} and those after it. */
  readonly handed?: readonly number[];
  /** Called with each new life of the child: hand it its options, serve it its store. */
  readonly onStart: (link: Link, pid: number) => void;
  /** Called when a life has ended by itself, or could not begin. */
  readonly onExit: (cause: string) => void;
}

/** A process of ours that is started again when it dies, ever more slowly if it cannot stay up. */
export class Child {
  readonly #options: ChildOptions;
  #process: ChildProcess | null = null;
  #restartMs = FIRST_RESTART_MS;
  #timer: NodeJS.Timeout | null = null;
  #wanted = true;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#start();
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  /** Lets the present process end by itself (the caller has asked it to) and kills it after the deadline. */
  async stop(deadlineMs: number): Promise<void> {
    this.#wanted = false;
    if (this.#timer) clearTimeout(this.#timer);
    const child = this.#process;
    if (!child) return;
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
    const killer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
    await ended;
    clearTimeout(killer);
  }

  #start(): void {
    const startedAt = performance.now();
    const end = (cause: string): void => {
      this.#process = null;
      if (performance.now() - startedAt > SETTLED_MS) this.#restartMs = FIRST_RESTART_MS;
      if (!this.#wanted) return;
      this.#timer = setTimeout(() => this.#start(), this.#restartMs);
      this.#restartMs = Math.min(this.#restartMs * 2, LAST_RESTART_MS);
      this.#options.onExit(cause);
    };
    const child = this.#fork(end);
    if (!child) return;
    this.#process = child;
    child.once('exit', (code, signal) => end(signal ? `killed by ${signal}` : `exit code ${code}`));
    this.#options.onStart(childLink(child), child.pid!);
  }

  /** Null when there is no process, for which the system has many reasons (no memory, too many processes): `failed` is told, now or soon. */
  #fork(failed: (cause: string) => void): ChildProcess | null {
    const { entry, handed = [] } = this.#options;
    const { path, execArgv } = entryPoint(entry);
    try {
      const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ipc', ...handed];
      const child = fork(path, [], { serialization: 'advanced', stdio, execArgv, detached: true });
      if (child.pid === undefined) {
        child.once('error', error => failed(error.message));
        return null;
      }
      this.#keepLog(child);
      return child;
    } catch (error) {
      failed((error as Error).message);
      return null;
    }
  }

  /** A log that cannot be written must stop neither us nor the child: what it says is then read and dropped. */
  #keepLog(child: ChildProcess): void {
    const { name, logFile } = this.#options;
    const log = openLog(logFile);
    const outputs = [child.stdout!, child.stderr!];
    log.on('error', () => {
      for (const output of outputs) output.resume();
    });
    for (const output of outputs) output.pipe(log, { end: false });
    child.on('error', error => log.write(`${name}: ${error.message}\n`));
    child.once('close', () => log.end());
  }
}

function openLog(path: string): WriteStream {
  try {
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // Then it grows on.
  }
  return createWriteStream(path, { flags: 'a', mode: 0o600 });
}

/**
 * The program to run: compiled beside us, or the source through tsx when we run from source ourselves (tests). Without source maps: reading them makes up
 * a fifth of what a process costs to start. A stack then shows the compiled code, with the names of the source.
 */
function entryPoint(entry: string): { path: string; execArgv: string[] } {
  const fromSource = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(programUrl(entry));
  return { path, execArgv: fromSource ? ['--import', 'tsx', '--conditions=source'] : [] };
}
