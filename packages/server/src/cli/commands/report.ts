import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { EXIT, type ExitCode, formatBytes } from '@understudy/core/cluster';
import { clusterPaths } from '../../supervisor/paths.ts';
import { readSecrets } from '../../supervisor/secrets.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { messageOf } from '../failure.ts';
import { packageVersion } from '../package-version.ts';
import { connect, findLocalCluster } from '../target.ts';

export interface ReportOptions extends TargetOptions {
  readonly to?: string;
}

/** The end of each log: more than enough to see what happened last. */
const LOG_TAIL_BYTES = 64 * 1024;
const EVENTS_LIMIT = 2000;

/** Gathers what can be had, whether the cluster runs or not; what cannot be had is told in its place. */
export async function run(context: CommandContext, options: ReportOptions): Promise<ExitCode> {
  const text = withoutSecrets(`${JSON.stringify(await gather(context, options), null, 2)}\n`, await secretsOf(context, options));
  const file = resolve(context.cwd, options.to ?? `understudy-report-${new Date().toISOString().replaceAll(/[-:]|[.]\d+/g, '')}.json`);
  writeFileSync(file, text, { mode: 0o600 });
  const message = `${file}\n${formatBytes(Buffer.byteLength(text))}. Passwords and tokens were removed; look through it before you pass it on.\n`;
  context.terminal.out(options.json ? `${JSON.stringify({ file, bytes: Buffer.byteLength(text) })}\n` : message);
  return EXIT.ok;
}

async function gather(context: CommandContext, options: ReportOptions): Promise<unknown> {
  const client = await connect(context, options, 'report').catch((error: unknown) => messageOf(error));
  const ask = async (question: (c: Exclude<typeof client, string>) => Promise<unknown>): Promise<unknown> =>
    typeof client === 'string' ? client : await question(client).catch((error: unknown) => messageOf(error));
  return {
    report: { version: packageVersion(), atMs: Date.now(), node: process.versions.node, platform: `${process.platform}-${process.arch}` },
    status: await ask(c => c.status()),
    events: await ask(c => c.events(0, EVENTS_LIMIT)),
    ...(options.url === undefined ? await localFiles(context, options) : {}),
  };
}

async function localFiles(context: CommandContext, options: ReportOptions): Promise<Record<string, unknown>> {
  const { paths } = await findLocalCluster(context, options, 'report');
  return { state: textOf(paths.state), marker: textOf(paths.marker), logs: logsBelow(paths.root) };
}

function logsBelow(root: string): Record<string, string> {
  const names = readdirOf(root).filter(name => name.endsWith('.log') || /[/\\]log[/\\]/.test(name));
  return Object.fromEntries(names.map(name => [name, tailOf(join(root, name))]));
}

function readdirOf(root: string): readonly string[] {
  try {
    return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(name =>
      statSync(join(root, name), { throwIfNoEntry: false })?.isFile(),
    );
  } catch {
    return [];
  }
}

function tailOf(path: string): string {
  return textOf(path).slice(-LOG_TAIL_BYTES);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return messageOf(error);
  }
}

async function secretsOf(context: CommandContext, options: ReportOptions): Promise<readonly string[]> {
  const known = context.env['UNDERSTUDY_TOKEN'] ? [context.env['UNDERSTUDY_TOKEN']] : [];
  if (options.url !== undefined) return known;
  try {
    const { paths } = await findLocalCluster(context, options, 'report');
    return [...known, ...Object.values(readSecrets(clusterPaths(paths.root).secrets))];
  } catch {
    return known;
  }
}

/** The cluster's own secrets by their value; passwords of others where they stand in a URL, a statement or a verifier. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of secrets) clean = clean.replaceAll(secret, REMOVED).replaceAll(encodeURIComponent(secret), REMOVED);
  return clean
    .replaceAll(/(postgres(?:ql)?:\/\/[^:@/\s"]+:)[^@\s"]+@/g, `$1${REMOVED}@`)
    .replaceAll(/(password\s*(?:=|:)?\s*(?:\\?['"]))[^'"\\]+/gi, `$1${REMOVED}`)
    .replaceAll(/SCRAM-SHA-256\$[^\s"'\\]+/g, REMOVED);
}

const REMOVED = '[removed]';
