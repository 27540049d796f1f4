import { UnderstudyError } from '@understudy/core/cluster';
import { loadServiceSettings, type ServiceContext, type ServiceSettings } from '../service/index.ts';
import type { CommandContext, TargetOptions } from './context.ts';
import { terminalLog } from './terminal-log.ts';
import { packageVersion } from './package-version.ts';

export interface ServiceOptions extends TargetOptions {
  readonly config?: string;
}

/** The file that --config or UNDERSTUDY_CONFIG names. Throws `bad-usage`, `bad-config`, `unknown-key`. */
export function serviceSettings(context: CommandContext, options: ServiceOptions, command: 'member' | 'proxy' | 'adopt'): ServiceSettings {
  const file = options.config ?? context.env['UNDERSTUDY_CONFIG'];
  if (!file) throw new UnderstudyError('bad-usage', { why: 'No configuration file is named', help: `understudy ${command} --help` });
  return loadServiceSettings(context.cwd, file, context.env);
}

/** What a service says goes to stderr, a line each. */
export function serviceContext(
  context: CommandContext,
  { settings, name }: Pick<ServiceSettings, 'settings' | 'name'>,
  role: 'member' | 'proxy',
): ServiceContext {
  const log = terminalLog(context.terminal, { level: settings.logLevel, format: settings.logFormat, name: `${role} ${name}` });
  return { version: packageVersion(), stop: context.takeInterrupts(), log, say: message => log.info(message) };
}
