import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../store/durable-file.ts';

/**
 * Says that a promotion was begun and is not known to have ended. One that nobody waits for any more may still take effect later, on a server
 * that has meanwhile answered another election: whoever finds the note kills the server before it says anything of it.
 */
export class PromotionNote {
  readonly #path: string;

  constructor(memberDirectory: string) {
    this.#path = join(memberDirectory, 'promoting.json');
  }

  get exists(): boolean {
    return existsSync(this.#path);
  }

  /** Durable before it returns. */
  write(term: number): void {
    writeDurably(this.#path, `${JSON.stringify({ term })}\n`);
  }

  remove(): void {
    rmSync(this.#path, { force: true });
  }
}
