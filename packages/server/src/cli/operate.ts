import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { PlanAnswer } from '../api/types.ts';
import type { ApiClient } from './api-client.ts';
import type { CommandContext, TargetOptions } from './context.ts';
import { connect } from './target.ts';

export interface Operation {
  /** The command, for messages. */
  readonly command: string;
  readonly method: 'POST' | 'DELETE';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Said on stderr while it is waited for. */
  readonly doing: string;
  readonly timeoutMs: number;
  /** Asked on a terminal before it is done; null: it hurts nobody. */
  readonly question: string | null;
  /** What GET /plan is asked with --dry-run. */
  readonly plan: Readonly<Record<string, string>>;
}

export interface OperationOptions extends TargetOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** Asks the cluster to do something, waits for the outcome, and tells it; with --dry-run only what would happen. */
export async function operate(context: CommandContext, options: OperationOptions, operation: Operation): Promise<ExitCode> {
  const client = await connect(context, options, operation.command);
  if (options.dryRun) return await showPlan(client, context, options, operation.plan);
  await requireConsent(context, options, operation);
  const { terminal } = context;
  if (!options.json) terminal.err(`${operation.doing}…\n`);
  const result = await client.operate(operation.method, operation.path, operation.body, operation.timeoutMs);
  terminal.out(options.json ? `${JSON.stringify(result)}\n` : `${result.message}\n`);
  return EXIT.ok;
}

/** A person at a terminal is asked; a program that runs us has decided already. Throws `not-confirmed`. */
async function requireConsent(context: CommandContext, options: OperationOptions, { question, command }: Operation): Promise<void> {
  if (question === null || options.yes || options.json || context.confirm === null) return;
  if (!(await context.confirm(question))) throw new UnderstudyError('not-confirmed', { what: `\`understudy ${command}\`` });
}

/** Throws the refusal, so that a dry run exits as the operation itself would. */
async function showPlan(
  client: ApiClient,
  context: CommandContext,
  options: OperationOptions,
  query: Readonly<Record<string, string>>,
): Promise<ExitCode> {
  return tellPlan(context, options, await client.plan(query));
}

/** Says what would be done. Throws the refusal. */
export function tellPlan(context: CommandContext, options: TargetOptions, plan: PlanAnswer): ExitCode {
  if (plan.refusal && !options.json) throw new UnderstudyError(plan.refusal.code, plan.refusal.details);
  if (options.json) {
    context.terminal.out(`${JSON.stringify(plan)}\n`);
    return plan.refusal ? new UnderstudyError(plan.refusal.code, plan.refusal.details).exit : EXIT.ok;
  }
  context.terminal.out(`${plan.steps.map((step, i) => `${i + 1}. ${step}`).join('\n')}\n`);
  context.terminal.err('nothing was done (--dry-run)\n');
  return EXIT.ok;
}
