import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { AppAnswer, AppRequest } from './app-messages.ts';

/** Several processes of one application, each with a pool of its own. They share nothing but what their callers carry from one to the other. */
export class AppFleet {
  readonly #processes: readonly ChildProcess[];
  readonly #waiting = new Map<number, (answer: AppAnswer) => void>();
  #lastId = 0;

  constructor(size: number, connectionString: string) {
    const program = fileURLToPath(new URL('app-process.ts', import.meta.url));
    const execArgv = ['--import', 'tsx', '--conditions=source'];
    this.#processes = Array.from({ length: size }, () => fork(program, [connectionString], { execArgv }));
    for (const child of this.#processes) {
      child.on('message', (answer: AppAnswer) => {
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      });
      child.once('exit', code => this.#failAll(`a process of the application ended with ${code}`));
    }
  }

  get size(): number {
    return this.#processes.length;
  }

  /** Has one process answer a request. Never rejects. */
  ask(index: number, request: Omit<AppRequest, 'id'>): Promise<AppAnswer> {
    const id = ++this.#lastId;
    return new Promise(resolve => {
      this.#waiting.set(id, resolve);
      this.#processes[index]?.send({ id, ...request } satisfies AppRequest);
    });
  }

  async stop(): Promise<void> {
    const running = this.#processes.filter(child => child.exitCode === null && child.signalCode === null);
    await Promise.all(
      running.map(child => {
        const ended = new Promise(resolve => child.once('exit', resolve));
        child.disconnect();
        return ended;
      }),
    );
  }

  #failAll(message: string): void {
    for (const [id, settle] of this.#waiting) settle({ id, rows: [], error: { code: '', message }, token: null });
    this.#waiting.clear();
  }
}
