import { spawn } from 'node:child_process';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { TourChapter } from '../../api/types.ts';
import type { ApiClient } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { wrap } from '../table.ts';
import { connect } from '../target.ts';

export interface DemoOptions extends TargetOptions {
  readonly chapter?: readonly string[];
  readonly yes?: boolean;
}

/** Adding a replica copies the whole database. */
const CHAPTER_TIMEOUT_MS = 900_000;

/** Plays the chapters one after the other; a person at a terminal is asked before each, and shown its answer after a moment to think. */
export async function run(context: CommandContext, options: DemoOptions): Promise<ExitCode> {
  const client = await connectOrStart(context, options);
  const { chapters } = await client.tour();
  const chosen = options.chapter ? options.chapter.map(id => chapterOf(chapters, id)) : chapters;
  if (!options.yes && context.confirm === null) return list(context, options, chosen);
  try {
    for (const chapter of chosen) await play(client, context, options, chapter);
  } finally {
    await client.operate('DELETE', '/tour', {}, CHAPTER_TIMEOUT_MS);
  }
  if (!options.json) context.terminal.err('The blog is gone again. A replica that was added stays: `understudy replica remove ID`.\n');
  return EXIT.ok;
}

/** The first command of somebody who is new may be this one: then there is no cluster yet. */
async function connectOrStart(context: CommandContext, options: DemoOptions): Promise<ApiClient> {
  try {
    return await connect(context, options, 'demo');
  } catch (error) {
    const startable = error instanceof UnderstudyError && (error.code === 'no-cluster' || error.code === 'not-running');
    if (!startable || (!options.yes && context.confirm === null)) throw error;
    if (!options.yes && !(await context.confirm?.('No cluster runs here. Start one?'))) throw error;
    await up(options);
    return await connect(context, options, 'demo');
  }
}

async function up(options: DemoOptions): Promise<void> {
  const data = options.data === undefined ? [] : ['--data', options.data];
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(process.execPath, [process.argv[1]!, 'up', '--detach', ...data], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) throw new UnderstudyError('supervisor-failed', { why: `understudy up ended with ${code}`, log: 'the lines above' });
}

function chapterOf(chapters: readonly TourChapter[], id: string): TourChapter {
  const found = chapters.find(chapter => chapter.id === id);
  if (!found) throw new UnderstudyError('no-such-chapter', { id, chapters: chapters.map(chapter => chapter.id).join(', ') });
  return found;
}

function list({ terminal }: CommandContext, options: DemoOptions, chapters: readonly TourChapter[]): ExitCode {
  const lines = chapters.map(({ id, title }) => `${id.padEnd(18)} ${title}\n`).join('');
  terminal.out(options.json ? `${JSON.stringify({ chapters })}\n` : lines);
  if (!options.json) terminal.err('Nothing was played: `understudy demo --yes` plays all of it, or run it in a terminal.\n');
  return EXIT.ok;
}

async function play(client: ApiClient, context: CommandContext, options: DemoOptions, chapter: TourChapter): Promise<void> {
  const { terminal, confirm } = context;
  const { bold, dim } = terminal.outColors;
  const tell = (text: string): void => {
    if (!options.json) terminal.out(text);
  };
  const paragraph = (text: string): string => `${wrap(text, Math.min(terminal.columns(), 90)).join('\n')}\n`;
  tell(`\n${bold(chapter.title)}\n${paragraph(chapter.idea)}${dim(paragraph(chapter.doing))}`);
  const asks = !options.yes && confirm !== null;
  if (asks && !(await confirm('Play this chapter?'))) return;
  const played = await client.playChapter(chapter.id, CHAPTER_TIMEOUT_MS);
  if (options.json) return terminal.out(`${JSON.stringify(played)}\n`);
  for (const { label, value } of played.findings) tell(`  ${bold(label)}  ${value}\n`);
  tell(`\n${paragraph(`Question: ${played.question}`)}`);
  if (asks) await confirm('Seen enough? The answer follows.');
  tell(paragraph(`Answer: ${played.answer}`));
}
