import { EXIT, type ExitCode } from '@understudy/core/cluster';
import { loadSettings } from '../../settings/load.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import type { Check, Finding } from '../doctor/check.ts';
import { clock, cLibrary, diskSpace, nodeVersion, openFiles, sharedMemory } from '../doctor/machine.ts';
import { account, directory, httpPort, programs, psql, routerPort } from '../doctor/postgresql.ts';
import { findLocalCluster } from '../target.ts';
import type { Terminal } from '../terminal.ts';

const CHECKS: readonly Check[] = [
  nodeVersion,
  cLibrary,
  account,
  programs,
  directory,
  routerPort,
  httpPort,
  diskSpace,
  sharedMemory,
  openFiles,
  clock,
  psql,
];

/** Exits with 1 when something would keep a cluster from running. */
export async function run(context: CommandContext, options: TargetOptions): Promise<ExitCode> {
  const loaded = loadSettings({ flags: { data: options.data }, env: context.env, cwd: context.cwd, command: 'doctor', configPath: null });
  const patient = { loaded, cluster: await findLocalCluster(context, options, 'doctor') };
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    const finding = await check(patient);
    findings.push(finding);
    if (!options.json) context.terminal.out(findingLines(finding, context.terminal));
  }
  if (options.json) context.terminal.out(`${JSON.stringify({ checks: findings }, null, 2)}\n`);
  return findings.some(({ result }) => result === 'fail') ? EXIT.error : EXIT.ok;
}

function findingLines({ name, result, message, action }: Finding, { outColors }: Terminal): string {
  const mark = { ok: outColors.green('ok  '), warn: outColors.yellow('warn'), fail: outColors.red('FAIL') }[result];
  return `${mark}  ${name.padEnd(14)} ${message}\n${action === null ? '' : `      ${' '.repeat(14)} ${outColors.dim(`-> ${action}`)}\n`}`;
}
