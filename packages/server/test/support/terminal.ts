import pc from 'picocolors';
import type { Terminal } from '../../src/cli/terminal.ts';

/** A terminal that keeps what is written. */
export class RecordedTerminal implements Terminal {
  outText = '';
  errText = '';
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  readonly outColors: ReturnType<typeof pc.createColors> = pc.createColors(false);
  readonly errColors: ReturnType<typeof pc.createColors> = pc.createColors(false);
  readonly #width: number;

  constructor({ tty = false, width = 80 }: { readonly tty?: boolean; readonly width?: number } = {}) {
    this.outIsTty = tty;
    this.errIsTty = tty;
    this.#width = width;
  }

  out(text: string): void {
    this.outText += text;
  }

  err(text: string): void {
    this.errText += text;
  }

  columns(): number {
    return this.#width;
  }
}
