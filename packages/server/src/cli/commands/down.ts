import { existsSync } from 'node:fs';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { CommandContext, TargetOptions } from '../context.ts';
import { tellPlan } from '../operate.ts';
import { planOfStop, stopCluster } from '../stop-cluster.ts';
import { findLocalCluster } from '../target.ts';

export interface DownOptions extends TargetOptions {
  readonly dryRun?: boolean;
}

export async function run(context: CommandContext, options: DownOptions): Promise<ExitCode> {
  const cluster = await findLocalCluster(context, options, 'down');
  if (!existsSync(cluster.paths.marker) && cluster.supervisorPid === null) {
    throw new UnderstudyError('no-cluster', { path: cluster.paths.root });
  }
  if (options.dryRun) return tellPlan(context, options, await planOfStop(cluster));
  const outcome = await stopCluster(cluster, text => {
    if (!options.json) context.terminal.err(`${text}\n`);
  });
  context.terminal.out(options.json ? `${JSON.stringify(outcome)}\n` : `${outcome.message}\n`);
  return EXIT.ok;
}
