import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { z } from 'zod';
import { writeDurably } from '../store/durable-file.ts';
import type { ClusterPaths } from './paths.ts';

/** What a data directory says of itself. Its presence marks the directory as ours. */
export interface Marker {
  readonly schema: 1;
  readonly cluster: string;
  readonly createdAtMs: number;
  readonly provider: 'embedded' | 'system';
  /** PostgreSQL's major version. */
  readonly major: number;
  /** Ports used last, taken again when they are free. */
  readonly port: number;
  readonly httpPort: number;
}

const schema: z.ZodType<Marker> = z.strictObject({
  schema: z.literal(1),
  cluster: z.string(),
  createdAtMs: z.number(),
  provider: z.enum(['embedded', 'system']),
  major: z.number().int(),
  port: z.number().int(),
  httpPort: z.number().int(),
});

/** Room that a fresh member takes, with its first WAL segments. */
const MEMBER_BYTES = 150 * 1024 * 1024;

export type DirectoryContent = { readonly kind: 'new' } | { readonly kind: 'ours'; readonly marker: Marker };

/** Looks at a directory and touches nothing. Throws `not-our-directory`, `state-corrupt`, `state-newer`. */
export function inspectDirectory(paths: ClusterPaths): DirectoryContent {
  if (!existsSync(paths.root)) return { kind: 'new' };
  let entries: string[];
  try {
    entries = readdirSync(paths.root);
  } catch (error) {
    throw new UnderstudyError('not-our-directory', { path: paths.root }, { cause: error });
  }
  // What is made before the lock is taken and the marker is written.
  if (entries.every(name => name === 'log' || name === 'run')) return { kind: 'new' };
  if (!existsSync(paths.marker)) throw new UnderstudyError('not-our-directory', { path: paths.root });
  return { kind: 'ours', marker: readMarker(paths.marker) };
}

function readMarker(path: string): Marker {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as { schema?: unknown };
    if (typeof value.schema === 'number' && value.schema > 1) throw new UnderstudyError('state-newer', { path, found: value.schema });
    return schema.parse(value);
  } catch (error) {
    if (error instanceof UnderstudyError) throw error;
    throw new UnderstudyError('state-corrupt', { path, why: (error as Error).message }, { cause: error });
  }
}

/** Throws `disk-full` when this many fresh members would not fit. */
export function requireSpace(root: string, members: number): void {
  let existing = root;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = statfsSync(existing);
  const free = bavail * bsize;
  const needed = members * MEMBER_BYTES;
  if (free < needed) throw new UnderstudyError('disk-full', { path: root, free: megabytes(free), needed: megabytes(needed) });
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MB`;
}

/** Makes a folder, and those above it, unless it is there. PostgreSQL's account must be able to pass through, not to list, whatever the umask is. */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o711);
}

export function writeMarker(paths: ClusterPaths, marker: Marker): void {
  writeDurably(paths.marker, `${JSON.stringify(marker, null, 2)}\n`, 0o644);
}

/** Whether any member has a complete data directory: then a missing state file is a loss, not a beginning. */
export function hasMemberData(paths: ClusterPaths): boolean {
  return existsSync(paths.members) && readdirSync(paths.members).some(id => existsSync(join(paths.members, id, 'data', 'PG_VERSION')));
}

/** Throws `wrong-pg-version` when a member's data was made by another major version than the provider's. */
export function requireVersion(paths: ClusterPaths, major: number, offered: string): void {
  if (!existsSync(paths.members)) return;
  for (const id of readdirSync(paths.members)) {
    const file = join(paths.members, id, 'data', 'PG_VERSION');
    if (!existsSync(file)) continue;
    const found = readFileSync(file, 'utf8').trim();
    if (found !== String(major)) throw new UnderstudyError('wrong-pg-version', { path: join(paths.members, id, 'data'), found, offered });
  }
}
