// Writes the reference that is made from the code: errors, events, settings, commands, metrics. Run by `npm run reference`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ERRORS, EVENT_KINDS, EXIT } from '@understudy/core/cluster';
import { describeSettings } from '@understudy/core/schemas';
import type { Command } from 'commander';
import { statusOf } from '../packages/server/src/api/errors.ts';
import { fullName, METRICS, type MetricName, specOf } from '../packages/server/src/api/metrics-catalogue.ts';
import type { CommandContext } from '../packages/server/src/cli/context.ts';
import { createProgram } from '../packages/server/src/cli/program.ts';
import { environmentName } from '../packages/server/src/settings/environment.ts';

const MADE = '<!-- Made from the code by `npm run reference`; edit the code, not this file. -->';

/** Path below docs/, and text. */
export function referenceFiles(): ReadonlyMap<string, string> {
  return new Map([
    ['errors.md', errorsPage()],
    ['events.md', eventsPage()],
    ['reference/configuration.md', configurationPage()],
    ['reference/cli.md', cliPage()],
    ['reference/metrics.md', metricsPage()],
  ]);
}

function page(title: string, introduction: string, body: readonly string[]): string {
  return `# ${title}\n\n${MADE}\n\n${introduction}\n\n${body.join('\n')}\n`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map(cell => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)];
}

function errorsPage(): string {
  const introduction = [
    'Every error that you can meet, by its code. Commands say the message and what to do on stderr; with `--json` they say one line of JSON',
    'instead, the same object that the HTTP API answers: `{"error": {"code", "message", "action", "details"}}`. Words in braces are filled in.',
  ].join('\n');
  const codes = Object.keys(ERRORS).sort() as (keyof typeof ERRORS)[];
  const body = codes.flatMap(code => {
    const error: { message: string; action: string; exit: keyof typeof EXIT; sqlState?: string } = ERRORS[code];
    const sqlState = error.sqlState === undefined ? '' : ` · SQLSTATE ${error.sqlState}`;
    return [
      `## ${code}`,
      '',
      error.message,
      '',
      `What to do: ${error.action}`,
      '',
      `Exit code ${EXIT[error.exit]} · HTTP ${statusOf(code)}${sqlState}`,
      '',
    ];
  });
  return page('Errors', introduction, body.slice(0, -1));
}

function eventsPage(): string {
  const introduction = [
    'Everything that happens to a cluster is one of these. `understudy events`, the log, the dashboard and `GET /events` show the same events:',
    '`{"id", "atMs", "kind", "member", "term", "message", "inputs"}`. `message` says what happened and why; `inputs` are the facts behind a decision.',
  ].join('\n');
  return page(
    'Events',
    introduction,
    table(
      ['Kind', 'Meaning'],
      Object.entries(EVENT_KINDS).map(([kind, meaning]) => [`\`${kind}\``, meaning]),
    ),
  );
}

function configurationPage(): string {
  const introduction = [
    'A setting is looked for among the flags of `up`, then in the environment, then in `understudy.yaml` (or the file that `--config` or',
    '`UNDERSTUDY_CONFIG` names), and else has its default. Unknown keys are errors. `failover.leaseMs` is the key `leaseMs` in the group `failover`.',
  ].join('\n');
  const rows = describeSettings().map(({ key, description, default: value, values }) => [
    `\`${key}\``,
    `\`${environmentName(key)}\``,
    value === null ? '' : `\`${value}\``,
    values === ''
      ? ''
      : values.includes('|')
        ? values
            .split(' | ')
            .map(word => `\`${word}\``)
            .join(', ')
        : values,
    description,
  ]);
  return page('Configuration', introduction, table(['Key', 'Environment', 'Default', 'Values', 'Meaning'], rows));
}

function cliPage(): string {
  const introduction = [
    'Every command takes `--data DIR` (default `./understudy-data`); those that ask a running cluster also take `--url URL`. Data goes to stdout, words to stderr.',
    'No colours when `NO_COLOR` is set or the output is not a terminal.',
  ].join('\n');
  const exits: Record<keyof typeof EXIT, string> = {
    ok: 'done; the cluster is healthy',
    error: 'an error',
    usage: 'wrong usage or configuration; nothing was touched',
    degraded: 'the cluster works, but not all of it',
    noPrimary: 'there is no primary, or no cluster to ask',
    timedOut: 'it did not happen in time',
    refused: 'refused by a safety rule; nothing was touched',
  };
  const codes = table(
    ['Exit code', 'Meaning'],
    (Object.keys(EXIT) as (keyof typeof EXIT)[]).map(name => [String(EXIT[name]), exits[name]]),
  );
  const program = createProgram(NOWHERE, () => {}, '');
  return page('Commands', introduction, [...codes, '', ...program.commands.flatMap(command => commandLines(command, []))])
    .trimEnd()
    .concat('\n');
}

function metricsPage(): string {
  const introduction = [
    'What `GET /metrics` of the HTTP API says. Times are in seconds, sizes in bytes. Counters (`_total`) and histograms count since the process that counts was',
    'started: the router for `understudy_router_…`, the one that is asked for the others. A histogram `x` has the series `x_bucket`, `x_sum` and `x_count`.',
  ].join('\n');
  const rows = (Object.keys(METRICS) as MetricName[]).map(name => {
    const { type, labels, help } = specOf(name);
    return [`\`${fullName(name)}\``, type, labels.map(label => `\`${label}\``).join(', '), help];
  });
  return page('Metrics', introduction, table(['Metric', 'Type', 'Labels', 'Meaning'], rows));
}

/** The tree of commands is only looked at. */
const NOWHERE = {} as CommandContext;

function commandLines(command: Command, parents: readonly string[]): readonly string[] {
  const path = [...parents, command.name()];
  if (command.commands.length > 0) return command.commands.flatMap(child => commandLines(child, path));
  const operands = command.registeredArguments.map(argument => {
    const word = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${word}>` : `[${word}]`;
  });
  const flags = command.options.filter(option => !option.hidden).map(option => [`\`${option.flags}\``, option.description]);
  return [`## understudy ${[...path, ...operands].join(' ')}`, '', command.description(), '', ...table(['Flag', 'Meaning'], flags), ''];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const docs = fileURLToPath(new URL('../docs', import.meta.url));
  for (const [name, text] of referenceFiles()) {
    mkdirSync(dirname(join(docs, name)), { recursive: true });
    writeFileSync(join(docs, name), text);
    process.stderr.write(`docs/${name}\n`);
  }
}
