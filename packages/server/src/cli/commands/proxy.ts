import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { runProxy, type ServiceSettings } from '../../service/index.ts';
import type { CommandContext } from '../context.ts';
import { type ServiceOptions, serviceContext, serviceSettings } from '../service-options.ts';

/** Runs one proxy on this machine, until it is stopped. */
export async function run(context: CommandContext, options: ServiceOptions): Promise<ExitCode> {
  const load = (): ServiceSettings => serviceSettings(context, options, 'proxy');
  const settings = load();
  await runProxy(settings, serviceContext(context, settings, 'proxy'), load);
  return EXIT.ok;
}
