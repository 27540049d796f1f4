import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { writeDurably } from '../../src/store/durable-file.ts';
import { testDirectory } from './fixture.ts';

test('replaces the content and the mode, and leaves nothing aside', () => {
  const path = join(testDirectory(), 'file');
  writeFileSync(path, 'old', { mode: 0o644 });
  writeDurably(path, 'new');
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(path, '..'))).toEqual(['file']);
});

test('takes no part for the whole when there is no more room', () => {
  const directory = testDirectory();
  const path = join(directory, 'file');
  writeFileSync(path, 'old');
  const script = join(directory, 'write.ts');
  const subject = fileURLToPath(new URL('../../src/store/durable-file.ts', import.meta.url));
  writeFileSync(
    script,
    `import { writeDurably } from ${JSON.stringify(subject)};\nwriteDurably(${JSON.stringify(path)}, 'x'.repeat(100_000));\n`,
  );
  // A limit of the file's size acts as a full disk does: the kernel takes what fits (32 blocks), and fails the next write.
  const limited = `trap '' XFSZ; ulimit -f 32; exec "$0" --import tsx "$1"`;
  const { status, stderr } = spawnSync('bash', ['-c', limited, process.execPath, script], {
    encoding: 'utf8',
    env: { ...process.env, TSX_DISABLE_CACHE: '1' },
  });
  expect(stderr).toContain('EFBIG');
  expect(status).not.toBe(0);
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(directory).sort()).toEqual(['file', 'write.ts']);
});

test('a reader never sees anything but a whole file', () => {
  const path = join(testDirectory(), 'file');
  const size = 300_000;
  for (const letter of ['a', 'b', 'c']) {
    writeDurably(path, letter.repeat(size));
    expect(execFileSync('wc', ['-c', path], { encoding: 'utf8' })).toContain(String(size));
  }
});
