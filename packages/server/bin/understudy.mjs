#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
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
await (await import(freshest().href)).main();

/** The bundle (build.mjs), which starts sooner, unless what it was made of has been compiled anew since. */
function freshest() {
  const bundle = new URL('../dist/bundle/cli-main.js', import.meta.url);
  const madeAtMs = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const isStale = ['../../core', '../../wire', '..'].some(folder => {
    const compiled = statSync(new URL(`${folder}/dist/.tsbuildinfo`, import.meta.url), { throwIfNoEntry: false });
    return compiled !== undefined && compiled.mtimeMs > madeAtMs;
  });
  return madeAtMs === 0 || isStale ? main : bundle;
}
