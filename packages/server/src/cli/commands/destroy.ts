import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { inspectDirectory } from '../../supervisor/directory.ts';
import type { ClusterPaths } from '../../supervisor/paths.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { tellPlan } from '../operate.ts';
import { planOfStop, stopCluster } from '../stop-cluster.ts';
import { findLocalCluster } from '../target.ts';

export interface DestroyOptions extends TargetOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export async function run(context: CommandContext, options: DestroyOptions): Promise<ExitCode> {
  const cluster = await findLocalCluster(context, options, 'destroy');
  const { paths } = cluster;
  if (!existsSync(paths.root)) throw new UnderstudyError('no-cluster', { path: paths.root });
  // Whatever does not carry our mark is not ours to delete.
  if (inspectDirectory(paths).kind === 'new') throw new UnderstudyError('no-cluster', { path: paths.root });
  if (options.dryRun) {
    const { steps } = await planOfStop(cluster);
    const deletion = `The data of all members, the secrets, the logs and the events in ${paths.root} are deleted for good. Backups elsewhere stay.`;
    const stop = cluster.supervisorPid === null ? steps : steps.slice(0, -1);
    return tellPlan(context, options, { allowed: true, member: null, steps: [...stop, deletion], refusal: null });
  }
  const asked =
    options.yes || options.json || context.confirm === null
      ? null
      : await context.confirm(`All data in ${paths.root} is deleted for good. Go on?`);
  if (asked === false) throw new UnderstudyError('not-confirmed', { what: '`understudy destroy`' });
  if (!options.yes && !asked) throw new UnderstudyError('needs-yes', { what: '`understudy destroy`', path: paths.root });
  await stopCluster(cluster, text => {
    if (!options.json) context.terminal.err(`${text}\n`);
  });
  const left = removeOurs(paths);
  const message =
    left.length === 0
      ? `${paths.root} is gone.`
      : `The cluster is gone; ${paths.root} stays, since it holds other things: ${left.join(', ')}.`;
  context.terminal.out(options.json ? `${JSON.stringify({ message, left })}\n` : `${message}\n`);
  return EXIT.ok;
}

/** The most names of foreign files that are told. */
const NAMES_TOLD = 5;

/** Removes our files, the mark last so that a destroy that is cut off can be begun again. Returns what else lies there. */
export function removeOurs(paths: ClusterPaths): readonly string[] {
  const { members, run, log, events, secrets, state, marker } = paths;
  const files = [state, secrets, events].flatMap(path => [path, `${path}.previous`, `${path}.1`, `${path}.new`]);
  for (const path of [members, run, log, ...files, marker]) rmSync(path, { recursive: true, force: true });
  const left = readdirSync(paths.root);
  if (left.length === 0) rmdirSync(paths.root);
  return left.slice(0, NAMES_TOLD).map(name => join(paths.root, name));
}
