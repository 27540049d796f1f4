#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`error: Understudy needs Node.js 20.19 or later; this is ${process.versions.node}.\n`);
  process.stderr.write('what to do: install a newer Node.js from https://nodejs.org.\n');
  process.exit(1);
}

const main = new URL('../dist/cli/main.js', import.meta.url);
const prepare = fileURLToPath(new URL('../../../scripts/prepare.mjs', import.meta.url));

// A package from the registry is built; a checkout may not be yet.
if (!existsSync(main)) {
  const built = existsSync(prepare) && spawnSync(process.execPath, [prepare], { stdio: ['ignore', 2, 2] }).status === 0;
  if (!built || !existsSync(main)) {
    process.stderr.write('error: Understudy is not built.\nwhat to do: run `npm install` and `npm start` in the checkout.\n');
    process.exit(1);
  }
}

process.exitCode = 1;
await (await import(main.href)).main();
