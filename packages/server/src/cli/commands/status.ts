import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { StatusDocument } from '../../api/types.ts';
import type { ApiClient } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { exitOfVerdict, renderStatus } from '../status-view.ts';
import { connect } from '../target.ts';
import type { Terminal } from '../terminal.ts';
import { pause } from '../waiting.ts';

export interface StatusOptions extends TargetOptions {
  readonly watch?: boolean;
}

const WATCH_INTERVAL_MS = 1000;

export async function run(context: CommandContext, options: StatusOptions): Promise<ExitCode> {
  const client = await connect(context, options, 'status');
  if (options.watch) return await watch(client, context, options.json ?? false);
  const status = await client.status();
  context.terminal.out(options.json ? `${JSON.stringify(status, null, 2)}\n` : view(status, context.terminal));
  return exitOfVerdict(status.verdict);
}

function view(status: StatusDocument, terminal: Terminal): string {
  return renderStatus(status, { columns: terminal.columns(), colors: terminal.outColors });
}

/** On a terminal one picture that is redrawn; elsewhere, and as JSON, one document whenever something has changed. */
async function watch(client: ApiClient, context: CommandContext, json: boolean): Promise<ExitCode> {
  const { terminal } = context;
  const stop = context.takeInterrupts();
  const live = terminal.outIsTty && !json;
  let last = '';
  if (live) terminal.out(ENTER);
  try {
    while (!stop.aborted) {
      const text = await picture(client, terminal, json);
      if (live)
        terminal.out(`${HOME}${text.replaceAll('\n', `${CLEAR_LINE_END}\n`)}\n${terminal.outColors.dim('Ctrl-C ends')}${CLEAR_BELOW}`);
      else if (text !== last) terminal.out(text);
      last = text;
      await pause(WATCH_INTERVAL_MS, stop);
    }
  } finally {
    if (live) terminal.out(LEAVE);
  }
  return EXIT.ok;
}

/** A cluster that does not answer is part of what is watched. */
async function picture(client: ApiClient, terminal: Terminal, json: boolean): Promise<string> {
  try {
    const status = await client.status();
    return json ? `${JSON.stringify(status)}\n` : view(status, terminal);
  } catch (error) {
    if (!(error instanceof UnderstudyError)) throw error;
    return json ? `${JSON.stringify({ error: { code: error.code, message: error.message } })}\n` : `${error.message}\n`;
  }
}

// The alternate screen, so that what was on the terminal comes back; the cursor is hidden meanwhile.
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[2J';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE_END = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
