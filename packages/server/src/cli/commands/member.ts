import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { runMember, type ServiceSettings } from '../../service/index.ts';
import type { CommandContext } from '../context.ts';
import { type ServiceOptions, serviceContext, serviceSettings } from '../service-options.ts';

/** Runs one member on this machine, until it is stopped. */
export async function run(context: CommandContext, options: ServiceOptions): Promise<ExitCode> {
  const load = (): ServiceSettings => serviceSettings(context, options, 'member');
  const settings = load();
  await runMember(settings, serviceContext(context, settings, 'member'), load);
  return EXIT.ok;
}
