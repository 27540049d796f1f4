import { type ChildProcess, fork } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Link } from '../store/link.ts';
import { childLink } from '../store/process-link.ts';

const FIRST_RESTART_MS = 100;
const LAST_RESTART_MS = 5000;
/** A child that lived this long is not taken for one that cannot start. */
const SETTLED_MS = 10_000;

export interface ChildOptions {
  readonly name: string;
  /** Module beside this one's folder, without its extension: `agent/main`. */
  readonly entry: string;
  readonly logFile: string;
  /** Called with each new life of the child: hand it its options, serve it its store. */
  readonly onStart: (link: Link, pid: number) => void;
  readonly onExit: (cause: string) => void;
}

/** A process of ours that is started again when it dies, ever more slowly if it cannot stay up. */
export class Child {
  readonly #options: ChildOptions;
  readonly #log: WriteStream;
  #process: ChildProcess | null = null;
  #restartMs = FIRST_RESTART_MS;
  #timer: NodeJS.Timeout | null = null;
  #wanted = true;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logFile, { flags: 'a', mode: 0o600 });
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
    if (child && child.exitCode === null && child.signalCode === null) {
      const ended = new Promise<void>(resolve => child.once('exit', () => resolve()));
      const killer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
      await ended;
      clearTimeout(killer);
    }
    this.#log.end();
  }

  #start(): void {
    const { path, execArgv } = entryPoint(this.#options.entry);
    const child = fork(path, [], { serialization: 'advanced', stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv, detached: true });
    const startedAt = performance.now();
    this.#process = child;
    child.stdout?.pipe(this.#log, { end: false });
    child.stderr?.pipe(this.#log, { end: false });
    child.once('exit', (code, signal) => {
      this.#process = null;
      if (performance.now() - startedAt > SETTLED_MS) this.#restartMs = FIRST_RESTART_MS;
      if (!this.#wanted) return;
      this.#options.onExit(signal ? `killed by ${signal}` : `exit code ${code}`);
      this.#timer = setTimeout(() => this.#start(), this.#restartMs);
      this.#restartMs = Math.min(this.#restartMs * 2, LAST_RESTART_MS);
    });
    child.on('error', error => this.#log.write(`${this.#options.name}: ${error.message}\n`));
    if (child.pid !== undefined) this.#options.onStart(childLink(child), child.pid);
  }
}

/** The program to run: compiled beside us, or the source through tsx when we run from source ourselves (tests). */
function entryPoint(entry: string): { path: string; execArgv: string[] } {
  const fromSource = import.meta.url.endsWith('.ts');
  const path = fileURLToPath(new URL(`../${entry}${fromSource ? '.ts' : '.js'}`, import.meta.url));
  return { path, execArgv: fromSource ? ['--import', 'tsx', '--conditions=source'] : ['--enable-source-maps'] };
}
