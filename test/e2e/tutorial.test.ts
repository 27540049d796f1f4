import { readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { Cluster } from '../support/cluster.ts';

const TUTORIAL = readFileSync(fileURLToPath(new URL('../../docs/tutorial.md', import.meta.url)), 'utf8');
const STEP = /```sh\nnpx understudy (.*)\n```(?:(?!```)[^])*?```text\n([^]*?)```/g;

const steps = [...TUTORIAL.matchAll(STEP)].map(([, line, shown]) => ({ args: wordsOf(line!), line: line!, shown: shown! }));
const cluster = await Cluster.prepare();

afterAll(async () => {
  await cluster.destroy().catch(() => undefined);
  rmSync(cluster.parent, { recursive: true, force: true });
});

describe('the tutorial', () => {
  it('shows an output for each command', () => {
    expect(steps).toHaveLength([...TUTORIAL.matchAll(/```sh/g)].length);
    expect(steps.length).toBeGreaterThan(8);
  });

  it.each(steps)('understudy $line', async ({ args, shown }) => {
    const ports = args[0] === 'up' ? ['--port', String(cluster.port), '--http-port', String(cluster.httpPort)] : [];
    if (args[0] === 'switchover' || args[0] === 'demo') await cluster.whenHealthy();
    const { code, stdout, stderr } = await cluster.command(...args, ...ports);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    // up tells its progress on stderr, before the rest.
    expect(stderr + stdout).toMatch(patternOf(shown));
  });
});

/** A line that is only … stands for any lines, … within a line for any text of it. */
function patternOf(shown: string): RegExp {
  const lines = shown.trimEnd().split('\n');
  const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const parts = lines.map(line => (line === '…' ? '[^]*' : `[^\\n]*${line.split('…').map(escape).join('[^\\n]*')}[^\\n]*\\n`));
  return new RegExp(parts.join(''));
}

/** Words of a shell line with double quotes. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}
