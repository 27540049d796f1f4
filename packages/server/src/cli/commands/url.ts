import { EXIT, type ExitCode } from '@understudy/core/cluster';
import type { UrlRole } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { connect } from '../target.ts';

export interface UrlOptions extends TargetOptions {
  readonly role: UrlRole;
}

export async function run(context: CommandContext, options: UrlOptions): Promise<ExitCode> {
  const url = await (await connect(context, options, 'url')).connectionUrl(options.role);
  context.terminal.out(options.json ? `${JSON.stringify({ url })}\n` : `${url}\n`);
  return EXIT.ok;
}
