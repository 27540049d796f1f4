import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { InstalledPrograms } from '../../src/agent/programs.ts';
import type { Provider } from '../../src/postgres/index.ts';
import { testDirectory } from '../store/fixture.ts';

const provider = (text: string): Provider => ({
  kind: 'system',
  binDirectory: '/b',
  postgres: '/b/postgres',
  initdb: '/b/initdb',
  pgRewind: null,
  version: { major: Number.parseInt(text, 10), text },
});

it('notices that other programs were installed, and keeps those that it knows when the others cannot be used', async () => {
  const file = join(testDirectory(), 'postgres');
  let installed: Provider | null = provider('15.18 (Debian 15.18-0+deb12u1)');
  let asked = 0;
  const find = async (): Promise<Provider> => {
    asked += 1;
    if (installed === null) throw new Error('half installed');
    return installed;
  };
  writeFileSync(file, 'one');
  const programs = new InstalledPrograms(await find(), find, () => file);
  await programs.look();
  await programs.look();
  expect([programs.version, asked]).toEqual([150_018, 1]);

  installed = null;
  writeFileSync(file, 'half');
  await expect(programs.look()).rejects.toThrow('half installed');
  expect(programs.version).toBe(150_018);

  installed = provider('15.19');
  await programs.look();
  expect(programs.version).toBe(150_019);
  expect(programs.provider.version.text).toBe('15.19');
});
