import { existsSync, statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { formatBytes } from '@understudy/core/cluster';
import { type Check, fail, ok, warn } from './check.ts';

const MEGABYTE = 1024 ** 2;
/** PostgreSQL keeps the shared memory of parallel queries there; containers get 64 MB unless told otherwise. */
const SHARED_MEMORY_MIN_BYTES = 64 * MEGABYTE;
/** A new cluster of three takes about this much. */
const DISK_MIN_BYTES = 500 * MEGABYTE;
/** Each client of the router takes two or three files. */
const OPEN_FILES_MIN = 4096;
/** Files that are this much newer than the clock say that the clock went back. */
const CLOCK_TOLERANCE_MS = 60_000;

export const nodeVersion: Check = () => ok('node', `Node.js ${process.versions.node} on ${process.platform}-${process.arch}`);

interface ProcessReport {
  readonly header: { readonly glibcVersionRuntime?: string };
  readonly userLimits?: { readonly open_files?: { readonly soft: number | string } };
}

/** The embedded programs are linked against glibc, and there is no such thing on Alpine. */
export const cLibrary: Check = ({ loaded }) => {
  const { glibcVersionRuntime } = (process.report.getReport() as unknown as ProcessReport).header;
  if (process.platform !== 'linux') return ok('libc', 'not Linux: nothing to check');
  if (glibcVersionRuntime) return ok('libc', `glibc ${glibcVersionRuntime}`);
  const action = 'Install PostgreSQL 14 to 19 and use --provider system, or use an image with glibc (Debian).';
  return loaded.settings.provider === 'embedded'
    ? fail('libc', 'no glibc (musl?): the embedded PostgreSQL does not run here', action)
    : ok('libc', 'no glibc, and not needed');
};

export const openFiles: Check = () => {
  const soft = (process.report.getReport() as unknown as ProcessReport).userLimits?.open_files?.soft;
  if (typeof soft !== 'number' || soft >= OPEN_FILES_MIN) return ok('open files', `limit ${soft ?? 'unknown'}`);
  return warn(
    'open files',
    `only ${soft} may be open at a time`,
    'Raise the limit (ulimit -n 65536) to serve more than a few hundred clients.',
  );
};

export const sharedMemory: Check = () => {
  if (!existsSync('/dev/shm')) return ok('shared memory', 'no /dev/shm: PostgreSQL uses another kind');
  const { bavail, bsize } = statfsSync('/dev/shm');
  const free = bavail * bsize;
  if (free >= SHARED_MEMORY_MIN_BYTES) return ok('shared memory', `${formatBytes(free)} free in /dev/shm`);
  return warn('shared memory', `only ${formatBytes(free)} free in /dev/shm`, 'Parallel queries may fail; in Docker use --shm-size=256m.');
};

export const diskSpace: Check = ({ cluster }) => {
  let path = cluster.paths.root;
  while (!existsSync(path)) path = dirname(path);
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  if (free >= DISK_MIN_BYTES) return ok('disk', `${formatBytes(free)} free at ${path}`);
  return fail(
    'disk',
    `only ${formatBytes(free)} free at ${path}`,
    `A new cluster needs ${formatBytes(DISK_MIN_BYTES)}: free some space, or choose another disk with --data.`,
  );
};

/** Safety depends on no clock; timestamps in data and logs do. */
export const clock: Check = ({ cluster }) => {
  const { state } = cluster.paths;
  const aheadMs = existsSync(state) ? statSync(state).mtimeMs - Date.now() : 0;
  if (aheadMs <= CLOCK_TOLERANCE_MS) return ok('clock', new Date().toISOString());
  return warn(
    'clock',
    `the state file is ${Math.round(aheadMs / 1000)} s in the future`,
    'The clock went back: set it (timedatectl). No data is at risk, but times in logs are wrong.',
  );
};
