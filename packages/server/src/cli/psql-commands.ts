import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { QueryArrayResult } from 'pg';
import { messageOf } from './failure.ts';
import type { Terminal } from './terminal.ts';

/** What is understood of psql's flags where there is no psql: statements, and rows without decoration. */
export interface PlainCommands {
  readonly statements: readonly string[];
  readonly tuplesOnly: boolean;
}

/** Null when the arguments need the real psql. */
export function parsePsqlArguments(args: readonly string[]): PlainCommands | null {
  const statements: string[] = [];
  let tuplesOnly = false;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument.startsWith('--command=')) statements.push(argument.slice('--command='.length));
    else if (argument === '--command' || /^-[AtqX]*c$/.test(argument)) {
      const statement = args[++i];
      if (statement === undefined) return null;
      statements.push(statement);
    } else if (!/^-[AtqX]+$/.test(argument)) return null;
    tuplesOnly ||= /^-[AqX]*t/.test(argument);
  }
  return statements.length === 0 || statements.some(statement => statement.startsWith('\\')) ? null : { statements, tuplesOnly };
}

/** Runs the statements of `-c` through the driver, for machines that have no psql. Throws `missing-program` for anything else. */
export async function runWithoutPsql(url: string, args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const commands = parsePsqlArguments(args);
  if (!commands) {
    throw new UnderstudyError('missing-program', {
      program: 'psql',
      hint: 'Install a PostgreSQL client (apt install postgresql-client); without it only -c STATEMENT works, with -A, -t and -q.',
    });
  }
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  client.on('notice', notice => terminal.err(`${notice.message}\n`));
  await client.connect();
  try {
    for (const statement of commands.statements) {
      const results = await client.query<unknown[]>({ text: statement, rowMode: 'array', types: { getTypeParser: () => String } });
      for (const result of [results].flat()) terminal.out(resultText(result, commands.tuplesOnly));
    }
    return EXIT.ok;
  } catch (error) {
    terminal.err(`ERROR:  ${messageOf(error)}\n`);
    return EXIT.error;
  } finally {
    await client.end();
  }
}

/** Rows separated by |, as psql -A prints them. */
function resultText(result: QueryArrayResult<unknown[]>, tuplesOnly: boolean): string {
  if (result.fields.length === 0) return tuplesOnly ? '' : `${[result.command, result.rowCount].filter(part => part !== null).join(' ')}\n`;
  const rows = result.rows.map(row => row.map(value => (value === null ? '' : String(value))).join('|'));
  const titles = tuplesOnly ? [] : [result.fields.map(field => field.name).join('|')];
  const count = tuplesOnly ? [] : [`(${rows.length} row${rows.length === 1 ? '' : 's'})`];
  return [...titles, ...rows, ...count].map(line => `${line}\n`).join('');
}
