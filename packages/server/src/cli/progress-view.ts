import { formatBytes } from '@understudy/core/cluster';
import type { ProgressEvent } from '../supervisor/progress.ts';
import type { Terminal } from './terminal.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const FRAME_MS = 80;
const BAR_WIDTH = 20;

/** Shows the steps of `up` on stderr: with spinners and bars on a terminal, as plain lines elsewhere. */
export interface ProgressView {
  show(event: ProgressEvent): void;
  /** Takes spinners away; what is done stays. */
  end(): void;
}

export function progressView(terminal: Terminal): ProgressView {
  const view = terminal.errIsTty ? new LiveProgress(terminal) : new PlainProgress(terminal);
  return {
    // That all is ready is the answer of `up` itself.
    show: event => (event.step === 'ready' ? undefined : view.show(event)),
    end: () => view.end(),
  };
}

/** A line when a step begins and when it ends; bytes would only fill a log. */
class PlainProgress implements ProgressView {
  readonly #terminal: Terminal;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(event: ProgressEvent): void {
    if (event.state === 'progress') return;
    const mark = { begin: '..', done: 'ok', failed: 'FAILED' }[event.state];
    this.#terminal.err(`${mark} ${event.message}\n`);
  }

  end(): void {}
}

/** Steps under way are redrawn at the bottom; finished ones scroll away above them. */
class LiveProgress implements ProgressView {
  readonly #terminal: Terminal;
  readonly #running = new Map<string, ProgressEvent>();
  #timer: NodeJS.Timeout | null = null;
  #frame = 0;
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  show(event: ProgressEvent): void {
    const key = `${event.member ?? ''}/${event.step}`;
    if (event.state === 'begin' || event.state === 'progress') this.#running.set(key, event);
    else {
      this.#running.delete(key);
      this.#erase();
      this.#terminal.err(`${finishedLine(event, this.#terminal)}\n`);
    }
    this.#draw();
    if (this.#running.size > 0) this.#timer ??= setInterval(() => this.#draw(), FRAME_MS);
    else this.#stopTimer();
  }

  end(): void {
    this.#stopTimer();
    this.#erase();
    this.#running.clear();
  }

  #stopTimer(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#timer = null;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#terminal.err(`\u001b[${this.#drawn}A\u001b[J`);
    this.#drawn = 0;
  }

  #draw(): void {
    this.#erase();
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const width = this.#terminal.columns() - 1;
    const { cyan } = this.#terminal.errColors;
    for (const event of this.#running.values()) {
      // A line that wraps could not be erased.
      const text = stepText(event).slice(0, width - 2);
      this.#terminal.err(`${cyan(FRAMES[this.#frame]!)} ${text}\n`);
      this.#drawn += 1;
    }
  }
}

function finishedLine(event: ProgressEvent, { errColors }: Terminal): string {
  return event.state === 'done' ? `${errColors.green('✓')} ${event.message}` : `${errColors.red('✗')} ${event.message}`;
}

/** What a step under way says, with a bar where its length is known. */
export function stepText({ message, bytesDone, bytesTotal }: ProgressEvent): string {
  if (bytesDone === undefined) return message;
  if (!bytesTotal) return `${message}  ${formatBytes(bytesDone)}`;
  const share = Math.min(1, bytesDone / bytesTotal);
  const filled = Math.round(share * BAR_WIDTH);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
  return `${message}  ${bar} ${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`;
}
