import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BIN, freePort } from '../support/cluster.ts';
import { hasProgram, type Outcome, run } from '../support/program.ts';

/** A command of docs/tutorial.md and what it prints there. */
interface Step {
  readonly command: string;
  readonly output: string;
}

const TUTORIAL = readFileSync(new URL('../../docs/tutorial.md', import.meta.url), 'utf8');
const STEPS: readonly Step[] = [...TUTORIAL.matchAll(/```sh\n([^`]+)\n```\n\n```text\n([^`]+)\n```/g)].map(([, command, output]) => ({
  command: command!,
  output: output!,
}));

/** `…` stands for what differs from run to run: within a line for any text, alone on a line for any lines. Blanks of a table may be more or fewer. */
function patternOf(output: string): RegExp {
  const lines = output.split('\n').map(line => {
    if (line === '…') return '(?:.*\\n)*?';
    const parts = line.split('…').map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/ +/g, ' +'));
    return `${parts.join('.*')}\\n`;
  });
  return new RegExp(`^${lines.join('')}$`);
}

describe.skipIf(!hasProgram('psql'))('the tutorial, command by command', () => {
  let parent: string;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    parent = mkdtempSync(join(tmpdir(), 'understudy-tutorial-'));
    chmodSync(parent, 0o755);
    // What `npx` finds in a checkout.
    const bin = join(parent, 'bin');
    mkdirSync(bin);
    writeFileSync(join(bin, 'npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${BIN}" "$@"\n`, { mode: 0o755 });
    env = {
      PATH: `${bin}${delimiter}${process.env['PATH']}`,
      NO_COLOR: '1',
      UNDERSTUDY_PORT: String(await freePort()),
      UNDERSTUDY_HTTP_PORT: String(await freePort()),
      UNDERSTUDY_MEMBER_PORT: String(await freePort()),
    };
  });
  afterAll(async () => {
    await type('npx understudy down');
    rmSync(parent, { recursive: true, force: true });
  });

  /** What a person sees in a terminal: both streams. */
  function type(command: string): Promise<Outcome> {
    return run('sh', ['-c', `${command} 2>&1`], { cwd: parent, env });
  }

  it('has the commands that are run here', () => {
    expect(STEPS.length).toBe([...TUTORIAL.matchAll(/^```sh$/gm)].length);
  });

  it.each(STEPS)('$command', async ({ command, output }) => {
    const { code, stdout } = await type(command);
    expect(stdout).toMatch(patternOf(output));
    expect(code).toBe(0);
  });
});

describe('what the tutorial says is compared with', () => {
  it.each([
    ['a\n…\nb', 'a\nb\n', true],
    ['a\n…\nb', 'a\nx\ny\nb\n', true],
    ['a … b', 'a  x   b\n', true],
    ['a', 'a\nb\n', false],
    ['a.c', 'abc\n', false],
    ['a\n…', 'b\na\n', false],
  ])('%j takes %j: %s', (output, real, fits) => expect(patternOf(output).test(real)).toBe(fits));
});
