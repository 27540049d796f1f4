import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Command, CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/cli/context.ts';
import { createProgram } from '../../src/cli/program.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

interface Mention {
  readonly line: string;
  /** Words after `understudy`. */
  readonly args: readonly string[];
  /** A name in a sentence may leave operands out; a line that is meant to be typed may not. */
  readonly inProse: boolean;
}

/** `understudy …`, also as `npx understudy …` or `npm start -- …`, on a line of its own or between backticks. */
function mentionsIn(markdown: string): readonly Mention[] {
  const typed = markdown
    .split('\n')
    .map(line => /^(?: {4})?\$?\s*(?:sudo )?(?:npx )?(?:understudy (.+)|npm start -- (.+))$/.exec(line.trimEnd()));
  const quoted = [...markdown.matchAll(/`(?:npx )?understudy ([^`…]+)`/g)];
  return [
    ...typed.flatMap(match => (match ? [{ line: match[0].trim(), args: words(match[1] ?? `up ${match[2]}`), inProse: false }] : [])),
    ...quoted.map(match => ({ line: match[0], args: words(match[1]!), inProse: true })),
  ];
}

/** As a shell would split them; what follows a pipe, a comment or a list of alternatives is not ours. */
function words(text: string): readonly string[] {
  const command = text.split(/ [|#;&]|\s{2,}/, 1)[0]!;
  return [...command.matchAll(/"((?:\\.|[^"\\])*)"|'([^']*)'|(\S+)/g)].map(match => match[1] ?? match[2] ?? match[3]!);
}

/** The real program, which parses and does nothing. */
function parser(): Command {
  const program = createProgram({} as CommandContext, () => undefined, '0');
  const quieten = (command: Command): void => {
    command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    for (const child of command.commands) quieten(child);
  };
  quieten(program);
  return program;
}

/** Why the program does not take it; null when it does. */
function refusalOf({ args, inProse }: Mention): string | null {
  try {
    parser().parse([...args], { from: 'user' });
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    return inProse && ['commander.missingArgument', 'commander.help'].includes(error.code) ? null : error.message;
  }
}

const FOLDERS = ['docs', 'examples', 'packaging'];
const files = [
  ...readdirSync(ROOT).filter(name => name.endsWith('.md')),
  ...FOLDERS.flatMap(folder => readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`)),
].filter(name => /\.(md|yaml)$/.test(name) && !name.includes('node_modules'));

describe('the documents have no command that does not run', () => {
  it.each(files)('%s', file => {
    const refused = mentionsIn(readFileSync(`${ROOT}${file}`, 'utf8')).flatMap(mention => {
      const why = refusalOf(mention);
      return why === null ? [] : [`${mention.line}: ${why}`];
    });
    expect(refused).toEqual([]);
  });

  it('the check itself finds what is wrong', () => {
    const lines = [
      '    npx understudy statu',
      'understudy up --prot 1',
      'see `understudy replica remove`',
      '`understudy replica drop n3`',
      'understudy replica remove',
    ];
    expect(
      lines.map(line =>
        mentionsIn(line)
          .map(refusalOf)
          .map(why => why !== null),
      ),
    ).toEqual([[true], [true], [false], [true], [true]]);
  });
});
