import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { exampleFile } from '../../service/index.ts';
import type { CommandContext, TargetOptions } from '../context.ts';

/** Prints a commented configuration file. */
export async function run(
  context: CommandContext,
  options: TargetOptions & { readonly kind: 'up' | 'member' | 'proxy' },
): Promise<ExitCode> {
  context.terminal.out(exampleFile(options.kind));
  return EXIT.ok;
}
