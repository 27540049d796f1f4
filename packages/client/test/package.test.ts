import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** What would be published, out of what tsc has built. */
describe('the package', () => {
  // Inside the workspace, so that the package is found as it would be when installed.
  const directory = mkdtempSync(join(root, 'test', '.package-'));
  let tarball: Uint8Array;

  beforeAll(() => {
    execFileSync(process.execPath, [join(root, 'build.mjs')]);
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', directory], { cwd: root });
    tarball = readFileSync(join(directory, readdirSync(directory).find(name => name.endsWith('.tgz')) ?? ''));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('is well-formed (publint)', async () => {
    const { messages } = await publint({ pack: { tarball: Uint8Array.from(tarball).buffer } });
    expect(messages).toEqual([]);
  });

  it('has types that are right in every way of importing it (attw)', async () => {
    const result = await checkPackage(createPackageFromTarballData(tarball), { excludeEntrypoints: [/^\.\/lib\//] });
    // Importers from before `exports` see CommonJS.
    expect(result.types === false ? 'none' : result.problems).toEqual([]);
  });

  it('is one implementation, however it is loaded', () => {
    const program = `
      import { createRequire } from 'node:module';
      import shaped, { Pool, Session } from '@understudy/client';
      const required = createRequire(import.meta.url)('@understudy/client');
      const result = createRequire(import.meta.url)('@understudy/client/lib/result.js');
      console.log(required.Pool === Pool, required.default === shaped, required.Session === Session, result === shaped.Result);`;
    const file = join(directory, 'load.mjs');
    writeFileSync(file, program);
    expect(execFileSync(process.execPath, [file], { encoding: 'utf8' })).toBe('true true true true\n');
  });

  const compilers: [string, string][] = [
    ['TypeScript 5.6', join(dirname(createRequire(require.resolve('@arethetypeswrong/core')).resolve('typescript')), 'tsc.js')],
    ['the TypeScript of this project', join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')],
  ];
  it.each(compilers)(
    'compiles in applications with %s',
    (_name, compiler) => {
      const usage = readFileSync(join(root, 'test', 'types', 'usage.ts'), 'utf8');
      writeFileSync(join(directory, 'usage.mts'), usage);
      writeFileSync(join(directory, 'usage.cts'), usage.replace("import type pg from 'pg';", "import pg = require('pg');"));
      const options = {
        module: 'nodenext',
        target: 'es2022',
        strict: true,
        noEmit: true,
        esModuleInterop: true,
        types: ['node'],
        skipLibCheck: true,
      };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['usage.*ts'] }));
      expect(() => execFileSync(process.execPath, [compiler, '-p', directory], { encoding: 'utf8', stdio: 'pipe' })).not.toThrow();
    },
    120_000,
  );
});
