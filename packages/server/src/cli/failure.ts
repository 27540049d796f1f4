import { type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { errorAnswer } from '../api/errors.ts';
import type { Terminal } from './terminal.ts';

/** Tells a failure: one JSON line or two sentences, both on stderr. Returns how the command exits. */
export function reportFailure(error: unknown, terminal: Terminal, json: boolean): ExitCode {
  const known =
    error instanceof UnderstudyError ? error : new UnderstudyError('internal-error', { why: messageOf(error) }, { cause: error });
  if (json) terminal.err(`${JSON.stringify(errorAnswer(known))}\n`);
  else {
    const { red, dim } = terminal.errColors;
    terminal.err(`${red('error:')} ${known.message}\n${dim('what to do:')} ${known.action}\n`);
    if (known.code === 'internal-error' && error instanceof Error && error.stack) terminal.err(`${dim(error.stack)}\n`);
  }
  return known.exit;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
