import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createSecrets, readSecrets } from '../../src/supervisor/secrets.ts';
import { testDirectory } from '../store/fixture.ts';

test('secrets are read back, readable by their owner only, whatever the umask is', () => {
  const umask = process.umask(0);
  try {
    const path = join(testDirectory(), 'secrets.json');
    const secrets = createSecrets(path);
    expect(readSecrets(path)).toEqual(secrets);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  } finally {
    process.umask(umask);
  }
});

test('each secret is long, its own, and fit for a URL', () => {
  const path = join(testDirectory(), 'secrets.json');
  const generated = (): readonly string[] => {
    const { superuserRole: _, ...secrets } = createSecrets(path);
    return Object.values(secrets);
  };
  const all = [...generated(), ...generated()];
  expect(new Set(all).size).toBe(8);
  for (const secret of all) expect(secret).toMatch(/^[A-Za-z0-9]{24}$/);
});

test('the superuser is postgres, or whom the file names', () => {
  const path = join(testDirectory(), 'secrets.json');
  expect(createSecrets(path, 'understudy').superuserRole).toBe('understudy');
  expect(readSecrets(path).superuserRole).toBe('understudy');
  const earlier = '{"superuser":"a","replication":"b","router":"c","token":"d"}';
  writeFileSync(path, earlier);
  expect(readSecrets(path).superuserRole).toBe('postgres');
  writeFileSync(path, earlier.replace('{', '{"superuserRole":"x; drop",'));
  expect(() => readSecrets(path)).toThrow(expect.objectContaining({ code: 'state-corrupt' }));
});

test.each<[string, string | null]>([
  ['missing', null],
  ['empty', ''],
  ['cut off', '{"superuser": "x"'],
  ['short of one', '{"superuser":"a","replication":"b","router":"c"}'],
  ['with an empty one', '{"superuser":"a","replication":"b","router":"c","token":""}'],
])('a file that is %s is refused and left alone', (_what, content) => {
  const path = join(testDirectory(), 'secrets.json');
  if (content !== null) writeFileSync(path, content);
  expect(() => readSecrets(path)).toThrow(expect.objectContaining({ code: 'state-corrupt' }));
  if (content !== null) expect(readFileSync(path, 'utf8')).toBe(content);
});
