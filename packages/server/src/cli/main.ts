import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { type Command, CommanderError } from 'commander';
import type { CommandContext } from './context.ts';
import { reportFailure } from './failure.ts';
import { packageVersion } from './package-version.ts';
import { createProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

/** Runs one command line (without node and the program) and says how to exit. Throws nothing. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<ExitCode> {
  let code: ExitCode = EXIT.ok;
  const program = createProgram(context, exit => (code = exit), packageVersion());
  quieten(program, context);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return EXIT.ok;
    // No command: the help has been shown, and there is no more to say.
    if (error instanceof CommanderError && error.code === 'commander.help') return EXIT.usage;
    const failure = error instanceof CommanderError ? usageError(error, argv, program) : error;
    return reportFailure(failure, context.terminal, wantsJson(argv));
  }
}

/** Commander throws instead of exiting, and leaves the words about errors to us. */
function quieten(command: Command, context: CommandContext): void {
  command.exitOverride().configureOutput({
    writeOut: text => context.terminal.out(text),
    writeErr: text => context.terminal.err(text),
    outputError: () => {},
    getOutHelpWidth: () => context.terminal.columns(),
  });
  for (const child of command.commands) quieten(child, context);
}

function usageError(error: CommanderError, argv: readonly string[], program: Command): UnderstudyError {
  const why = error.message
    .replace(/^error: /, '')
    .replace(/\n\((.*)\)$/s, ' ($1)')
    .replace(/\.$/, '');
  const command = program.commands.find(each => argv.includes(each.name()));
  return new UnderstudyError('bad-usage', { why, help: `understudy ${command ? `${command.name()} ` : ''}--help` });
}

/** Arguments behind -- belong to another program. */
function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end === -1 ? argv : argv.slice(0, end)).includes('--json');
}

/** The whole program: runs the command line of this process and exits. */
export async function main(): Promise<never> {
  // `understudy events | head` is not an error.
  process.stdout.on('error', error => process.exit((error as NodeJS.ErrnoException).code === 'EPIPE' ? EXIT.ok : EXIT.error));
  const context = {
    terminal: processTerminal(),
    env: process.env,
    cwd: process.cwd(),
    confirm: process.stdin.isTTY && process.stderr.isTTY ? confirm : null,
    takeInterrupts,
  };
  const code = await runCommandLine(process.argv.slice(2), context);
  await Promise.all([process.stdout, process.stderr].map(stream => new Promise(resolve => stream.write('', resolve))));
  process.exit(code);
}

async function confirm(question: string): Promise<boolean> {
  const { createInterface } = await import('node:readline/promises');
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await asking.question(`${question} [y/N] `)).trim());
  } finally {
    asking.close();
  }
}

function takeInterrupts(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
  return stop.signal;
}
