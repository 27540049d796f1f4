import { resolve } from 'node:path';
import type { Finding } from '@understudy/core/adoption';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { type AdoptionReport, adopt } from '../../service/index.ts';
import type { CommandContext } from '../context.ts';
import { type ServiceOptions, serviceSettings } from '../service-options.ts';

export interface AdoptOptions extends ServiceOptions {
  readonly pgdata?: string;
  readonly dbUser?: string;
  readonly dryRun?: boolean;
}

/** Takes over a running PostgreSQL server as this machine's member. Exits with 6 when something is in the way. */
export async function run(context: CommandContext, options: AdoptOptions): Promise<ExitCode> {
  const { terminal } = context;
  const report = await adopt(serviceSettings(context, options, 'adopt'), {
    dataDirectory: options.pgdata === undefined ? null : resolve(context.cwd, options.pgdata),
    role: options.dbUser ?? null,
    password: context.env['PGPASSWORD'] || null,
    mode: options.dryRun ? 'look' : 'adopt',
    say: message => terminal.err(`${message}\n`),
  });
  if (options.json) terminal.out(`${JSON.stringify(report)}\n`);
  else tell(context, report);
  if (report.outcome !== 'refused') return EXIT.ok;
  const why = report.findings.filter(({ level }) => level === 'stop').map(({ message }) => message.replace(/\.$/, ''));
  if (!options.json) throw new UnderstudyError('adoption-refused', { why: why.join('; ') });
  return EXIT.refused;
}

function tell({ terminal }: CommandContext, { member, role, findings, steps, outcome }: AdoptionReport): void {
  const { outColors } = terminal;
  const marks: Record<Finding['level'], string> = {
    stop: outColors.red('STOP'),
    warn: outColors.yellow('warn'),
    note: 'note',
    ok: outColors.green('ok  '),
  };
  for (const { level, message, action } of findings) {
    terminal.out(`${marks[level]}  ${message}\n${action === null ? '' : `      ${outColors.dim(`-> ${action}`)}\n`}`);
  }
  if (outcome === 'possible') {
    terminal.out(`\nWhat would be done:\n${steps.map((step, i) => `${i + 1}. ${step}`).join('\n')}\n`);
    terminal.err('nothing was done (--dry-run)\n');
  }
  if (outcome === 'adopted')
    terminal.out(
      `\nThe ${role} is member ${member} now. Start its service: \`understudy member --config …\`, or systemctl enable --now understudy-member.\n`,
    );
}
