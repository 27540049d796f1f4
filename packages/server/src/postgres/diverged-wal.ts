import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatLsn, type Lsn } from '@understudy/core/cluster';
import { readControlFile } from './control-file.ts';
import { PostgresError } from './errors.ts';
import { syncDirectory, syncTree } from './files.ts';
import type { ServerSpec } from './replication.ts';

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
  const names = await readdir(walDirectory);
  const segmentBytes = await segmentBytesOf(walDirectory, names);
  const segments = selectSegments(names, control.timeline, options.forkLsn, segmentBytes);
  const bytes = segments.length * segmentBytes;
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

const SEGMENT = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(?:\.partial)?$/;
/** Of a data directory without WAL, where it does not matter: what initdb makes by itself. */
const DEFAULT_SEGMENT_BYTES = 16 * 1024 * 1024;

/** Each data directory has its own size of segments, chosen by initdb: every one of them is that long. */
async function segmentBytesOf(walDirectory: string, names: readonly string[]): Promise<number> {
  const any = names.find(name => SEGMENT.test(name));
  return any === undefined ? DEFAULT_SEGMENT_BYTES : (await stat(join(walDirectory, any))).size;
}

/** The WAL files (TTTTTTTTXXXXXXXXYYYYYYYY) up to this timeline that hold something from `fromLsn` on, and the histories, sorted. */
export function selectSegments(names: readonly string[], timeline: number, fromLsn: Lsn, segmentBytes: number): readonly string[] {
  const first = fromLsn / BigInt(segmentBytes);
  const segmentsPerFile = 0x1_0000_0000n / BigInt(segmentBytes);
  return names
    .filter(name => {
      const match = SEGMENT.exec(name);
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
