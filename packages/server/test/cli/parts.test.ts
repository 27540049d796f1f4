import { describe, expect, it } from 'vitest';
import { completables, completionScript, SHELLS } from '../../src/cli/commands/completion.ts';
import type { CommandContext } from '../../src/cli/context.ts';
import { createProgram } from '../../src/cli/program.ts';
import { progressView, stepText } from '../../src/cli/progress-view.ts';
import { parsePsqlArguments } from '../../src/cli/psql-commands.ts';
import { readMessages } from '../../src/cli/sse.ts';
import { tableLines, wrap } from '../../src/cli/table.ts';
import { printReached } from '../../src/cli/up-result.ts';
import { status } from '../support/status.ts';
import { RecordedTerminal } from '../support/terminal.ts';

describe('tableLines', () => {
  const columns = [
    { title: 'A', align: 'left', rank: 0, cell: (row: string) => row },
    { title: 'WIDE', align: 'right', rank: 2, cell: () => 'xxxxxxxxxx' },
    { title: 'B', align: 'right', rank: 1, cell: () => '1' },
  ] as const;

  it('leaves out columns, the highest rank first, until it fits', () => {
    expect(tableLines(['row'], columns, 40)).toEqual(['A          WIDE  B', 'row  xxxxxxxxxx  1']);
    expect(tableLines(['row'], columns, 10)).toEqual(['A    B', 'row  1']);
    expect(tableLines(['row'], columns, 1)).toEqual(['A', 'row']);
  });
});

describe('wrap', () => {
  it('breaks at spaces only', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrap('unbreakable', 3)).toEqual(['unbreakable']);
  });
});

describe('readMessages', () => {
  it('reads messages however they are cut, and passes over comments', async () => {
    const bytes = new TextEncoder().encode('retry: 1000\n\nid: 1\ndata: {"a":"ä"}\n\n: keep-alive\n\nevent: gap\ndata: {}\n\n');
    const oneByOne = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
        controller.close();
      },
    });
    const messages = [];
    for await (const message of readMessages(oneByOne)) messages.push(message);
    expect(messages).toEqual([
      { event: 'message', data: '{"a":"ä"}' },
      { event: 'gap', data: '{}' },
    ]);
  });
});

describe('progress', () => {
  const copy = { kind: 'step', member: 'n2', step: 'clone', message: 'n2: copying the primary' } as const;

  it('is plain lines without bytes where there is no terminal', () => {
    const terminal = new RecordedTerminal();
    const view = progressView(terminal);
    view.show({ ...copy, state: 'begin' });
    view.show({ ...copy, state: 'progress', bytesDone: 10, bytesTotal: 100 });
    view.show({ ...copy, state: 'done', message: 'n2: copy complete' });
    view.end();
    expect(terminal.errText).toBe('.. n2: copying the primary\nok n2: copy complete\n');
  });

  it('redraws on a terminal and leaves what is done', () => {
    const terminal = new RecordedTerminal({ tty: true });
    const view = progressView(terminal);
    view.show({ ...copy, state: 'begin' });
    view.show({ ...copy, state: 'done', message: 'n2: copy complete' });
    view.end();
    expect(terminal.errText.slice(1)).toBe(' n2: copying the primary\n\u001b[1A\u001b[J✓ n2: copy complete\n');
  });

  it('draws a bar where the length is known', () => {
    const bytes = { bytesDone: 12 * 1024 ** 2, bytesTotal: 24 * 1024 ** 2 };
    expect(stepText({ ...copy, state: 'progress', ...bytes })).toBe('n2: copying the primary  ██████████░░░░░░░░░░ 12 MB of 24 MB');
    expect(stepText({ ...copy, state: 'progress', bytesDone: 512 })).toBe('n2: copying the primary  512 B');
  });
});

describe('what up prints at last', () => {
  const reached = {
    status: status(),
    url: 'postgres://postgres:secret@127.0.0.1:5432/postgres',
    token: 'right-token',
    mode: 'detached',
  } as const;
  const print = (terminal: RecordedTerminal, json: boolean): string => {
    printReached(reached, { terminal, env: {}, cwd: '/', confirm: null, takeInterrupts: () => new AbortController().signal }, json);
    return terminal.outText;
  };

  it('shows secrets on a terminal only', () => {
    expect(print(new RecordedTerminal({ tty: true }), false)).toContain('postgres://postgres:secret@');
    const piped = print(new RecordedTerminal(), false);
    expect(piped).toContain('connect    postgres://postgres@127.0.0.1:5432/postgres');
    expect(piped).not.toMatch(/secret|right-token/);
  });

  it('is the status document as JSON', () => {
    expect(JSON.parse(print(new RecordedTerminal(), true))).toEqual(status());
  });
});

describe('psql without psql', () => {
  it.each([
    [['-c', 'select 1'], { statements: ['select 1'], tuplesOnly: false }],
    [['-Atc', 'select 1'], { statements: ['select 1'], tuplesOnly: true }],
    [['-At', '-c', 'select 1', '--command=select 2'], { statements: ['select 1', 'select 2'], tuplesOnly: true }],
    [['-X', '-qc', 'select 1'], { statements: ['select 1'], tuplesOnly: false }],
    [[], null],
    [['-c'], null],
    [['-f', 'file.sql'], null],
    [['-c', '\\dt'], null],
  ])('understands %j', (args, expected) => expect(parsePsqlArguments(args)).toEqual(expected));
});

describe('completion', () => {
  const program = createProgram({} as CommandContext, () => {}, '0');

  it.each(SHELLS)('for %s knows every command and every flag that is shown', shell => {
    const script = completionScript(shell, program);
    for (const { path, flags } of completables(program)) {
      for (const word of path.split(' ')) expect(script).toContain(word);
      for (const { name } of flags) expect(script).toContain(name.slice(2));
    }
    expect(script).not.toContain('background');
  });
});
