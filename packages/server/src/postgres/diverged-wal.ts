import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, type Lsn } from '@understudy/core/cluster';
import { readControlFile } from './control-file.ts';
import { PostgresError } from './errors.ts';
import { syncDirectory, syncTree } from './files.ts';
import type { ServerSpec } from './replication.ts';

/** initdb's default; ours never asks for another. */
const SEGMENT_BYTES = 16n * 1024n * 1024n;
/** Older archives beyond these are removed. */
const ARCHIVES_KEPT = 10;

interface DivergedWal {
  /** Where the segments were copied. */
  readonly directory: string;
  readonly timeline: number;
  /** First byte that the cluster does not have. */
  readonly fromLsn: Lsn;
  /** The latest checkpoint that this server knew: what lies after it is in the segments too, when it crashed. */
  readonly toLsn: Lsn;
  readonly segments: readonly string[];
  readonly bytes: number;
}

interface ArchiveOptions {
  /** Where this server's history leaves the cluster's. */
  readonly forkLsn: Lsn;
  /** Name of the archive, unique for each rejoin: e.g. `term-7`. An archive of this name is made anew. */
  readonly name: string;
  /** More than this is refused with `archive-too-large`. */
  readonly maxBytes: number;
}

/**
 * Copies the WAL of a stopped server from the fork on to `<member>/diverged/<name>`, with its LSN range in `range.json`, before a rewind or a new clone destroys it.
 * The ten newest archives are kept. Throws `archive-too-large`, `data-directory-corrupt`.
 */
export async function archiveDivergedWal(spec: ServerSpec, options: ArchiveOptions): Promise<DivergedWal> {
  const { dataDirectory, divergedDirectory } = spec.paths;
  const control = await readControlFile(dataDirectory);
  const walDirectory = join(dataDirectory, 'pg_wal');
  const segments = selectSegments(await readdir(walDirectory), control.timeline, options.forkLsn);
  const bytes = segments.length * Number(SEGMENT_BYTES);
  if (bytes > options.maxBytes) {
    throw new PostgresError('archive-too-large', `the diverged WAL is ${bytes} bytes, more than the ${options.maxBytes} that may be kept`);
  }
  const directory = join(divergedDirectory, options.name);
  const side = `${directory}.unfinished`;
  await rm(side, { recursive: true, force: true });
  await mkdir(side, { recursive: true, mode: 0o700 });
  for (const segment of segments) await copyFile(join(walDirectory, segment), join(side, segment));
  const range = { timeline: control.timeline, fromLsn: formatLsn(options.forkLsn), toLsn: formatLsn(control.checkpointLsn), segments };
  await writeFile(join(side, 'range.json'), `${JSON.stringify(range, null, 2)}\n`);
  await syncTree(side);
  await rm(directory, { recursive: true, force: true });
  await rename(side, directory);
  await syncDirectory(divergedDirectory);
  await removeOldest(divergedDirectory);
  return { directory, timeline: control.timeline, fromLsn: options.forkLsn, toLsn: control.checkpointLsn, segments, bytes };
}

/** The WAL files (TTTTTTTTXXXXXXXXYYYYYYYY) up to this timeline that hold something from `fromLsn` on, and the histories, sorted. */
export function selectSegments(names: readonly string[], timeline: number, fromLsn: Lsn): readonly string[] {
  const first = fromLsn / SEGMENT_BYTES;
  const segmentsPerFile = 0x1_0000_0000n / SEGMENT_BYTES;
  return names
    .filter(name => {
      const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.partial)?$/.exec(name);
      if (!match) return /^[0-9A-F]{8}\.history$/.test(name);
      const number = BigInt(`0x${match[2]}`) * segmentsPerFile + BigInt(`0x${match[3]}`);
      return Number.parseInt(match[1] ?? '', 16) <= timeline && number >= first;
    })
    .sort();
}

async function removeOldest(divergedDirectory: string): Promise<void> {
  const archives = await Promise.all(
    (await readdir(divergedDirectory)).map(async name => ({ name, at: (await stat(join(divergedDirectory, name))).mtimeMs })),
  );
  for (const { name } of archives.sort((a, b) => b.at - a.at).slice(ARCHIVES_KEPT)) {
    await rm(join(divergedDirectory, name), { recursive: true, force: true });
  }
}
