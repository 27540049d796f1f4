import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { runProxy } from '../../service/index.ts';
import type { CommandContext } from '../context.ts';
import { type ServiceOptions, serviceContext, serviceSettings } from '../service-options.ts';

/** Runs one proxy on this machine, until it is stopped. */
export async function run(context: CommandContext, options: ServiceOptions): Promise<ExitCode> {
  await runProxy(serviceSettings(context, options, 'proxy'), serviceContext(context));
  return EXIT.ok;
}
