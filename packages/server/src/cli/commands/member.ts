import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { runMember } from '../../service/index.ts';
import type { CommandContext } from '../context.ts';
import { type ServiceOptions, serviceContext, serviceSettings } from '../service-options.ts';

/** Runs one member on this machine, until it is stopped. */
export async function run(context: CommandContext, options: ServiceOptions): Promise<ExitCode> {
  const settings = serviceSettings(context, options, 'member');
  await runMember(settings, serviceContext(context, settings, 'member'));
  return EXIT.ok;
}
