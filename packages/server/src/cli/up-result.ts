import type { StatusDocument } from '../api/types.ts';
import { withoutPassword } from '../api/redact.ts';
import type { ApiClient } from './api-client.ts';
import type { CommandContext } from './context.ts';
import type { Terminal } from './terminal.ts';

export interface Reached {
  readonly status: StatusDocument;
  /** With the password. */
  readonly url: string;
  readonly token: string;
  /** Stopped by Ctrl-C in this terminal, or by a command. */
  readonly mode: 'foreground' | 'detached';
}

/** What `up` says when the cluster can be used: the status as JSON on stdout, or how to use it. */
export function printReached(reached: Reached, context: CommandContext, json: boolean): void {
  const { terminal } = context;
  terminal.out(json ? `${JSON.stringify(reached.status, null, 2)}\n` : welcome(reached, terminal));
}

/** Secrets are shown on a terminal only: whatever is not one may be a log. */
function welcome({ status, url, token, mode }: Reached, terminal: Terminal): string {
  const { bold, dim, green } = terminal.outColors;
  const shown = terminal.outIsTty ? url : withoutPassword(url);
  const dashboard = terminal.outIsTty ? `${status.endpoints.http}/#token=${token}` : status.endpoints.http;
  const stop = mode === 'foreground' ? 'Ctrl-C' : 'npx understudy down';
  return `${[
    `${green('●')} ${status.summary}`,
    '',
    `  connect    ${bold(shown)}${terminal.outIsTty ? '' : dim('   (with the password: npx understudy url)')}`,
    `  dashboard  ${dashboard}`,
    `  try it     npx understudy psql -- -c "select pg_is_in_recovery()"`,
    `  watch it   npx understudy status --watch`,
    `  stop it    ${stop}`,
  ].join('\n')}\n`;
}

/** Asks a running cluster for all that is printed. */
export async function reachedBy(client: ApiClient, token: string, mode: Reached['mode']): Promise<Reached> {
  const [status, url] = await Promise.all([client.status(), client.connectionUrl('router')]);
  return { status, url, token, mode };
}
