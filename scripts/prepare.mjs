// What a fresh checkout lacks before it can start or be tested: dependencies and the build. Quick when nothing is missing.
// Uses nothing but Node.js and npm. All output goes to stderr: stdout belongs to the command that follows.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, 'node_modules', '.understudy');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`error: Understudy needs Node.js 20.19 or later; this is ${process.versions.node}.\n`);
  process.exit(1);
}

function run(what, command, args) {
  const startedAt = Date.now();
  process.stderr.write(`${what}…\n`);
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell: process.platform === 'win32' });
  if (result.status !== 0) {
    process.stderr.write(`error: ${what} failed (${command} ${args.join(' ')}).\n`);
    process.exit(1);
  }
  process.stderr.write(`${what}: done in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`);
}

const lockDirectory = join(root, '.preparing');
const LOCK_LIMIT_MS = 15 * 60_000;

/** Two first commands at once would install into each other: the second waits for the first. A lock whose process is gone counts for nothing. */
function takeLock() {
  const holder = join(lockDirectory, 'pid');
  const until = Date.now() + LOCK_LIMIT_MS;
  for (let told = false; ; told = true) {
    try {
      mkdirSync(lockDirectory);
      writeFileSync(holder, String(process.pid));
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAbandoned(holder)) {
      rmSync(lockDirectory, { recursive: true, force: true });
      continue;
    }
    if (!told) process.stderr.write('Another command prepares this checkout; waiting for it…\n');
    if (Date.now() > until) {
      process.stderr.write(
        `error: another command has been preparing this checkout for too long; if there is none, remove ${lockDirectory}.\n`,
      );
      process.exit(1);
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  process.on('exit', () => rmSync(lockDirectory, { recursive: true, force: true }));
}

function isAbandoned(holder) {
  const pid = existsSync(holder) ? Number(readFileSync(holder, 'utf8')) : 0;
  // Made a moment ago, and not signed yet.
  if (pid === 0) return Date.now() - (statSync(lockDirectory, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()) > 10_000;
  try {
    return !process.kill(pid, 0);
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

takeLock();

function stampOf(name) {
  const file = join(stamps, name);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function setStamp(name, value) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(join(stamps, name), value);
}

function filesBelow(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    if (entry.name === 'node_modules' || entry.name === 'dist') return [];
    const path = join(directory, entry.name);
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

/** Names, sizes and times of the sources: cheap, and any edit changes it. */
function sourcesOf(...directories) {
  const hash = createHash('sha256');
  for (const path of directories.flatMap(directory => filesBelow(join(root, directory))).sort()) {
    const info = statSync(path);
    hash.update(`${path}\0${info.size}\0${info.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

const lock = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex');
if (stampOf('installed') !== lock) {
  // Not `npm ci`: it refuses a lock file that lacks an optional package of some other platform, which registries do not always have.
  run('Installing dependencies', 'npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error']);
  setStamp('installed', lock);
}

const packages = ['core', 'wire', 'client', 'server'];
const code = sourcesOf(...packages.map(name => `packages/${name}`));
if (
  stampOf('built') !== code ||
  packages.some(name => !existsSync(join(root, 'packages', name, 'dist'))) ||
  !existsSync(join(root, 'packages/client/dist/index.cjs')) ||
  !existsSync(join(root, 'packages/server/dist/bundle/cli-main.js'))
) {
  run('Building', process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b']);
  run('Bundling the client', process.execPath, [join(root, 'packages/client/build.mjs')]);
  run('Bundling the programs', process.execPath, [join(root, 'packages/server/build.mjs')]);
  setStamp('built', code);
}

if (existsSync(join(root, 'packages/dashboard/vite.config.ts'))) {
  const page = sourcesOf('packages/dashboard');
  if (stampOf('dashboard') !== page || !existsSync(join(root, 'packages/dashboard/dist/index.html'))) {
    run('Building the dashboard', 'npm', ['run', '--silent', 'build', '-w', 'packages/dashboard']);
    setStamp('dashboard', page);
  }
}
