import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { type FileDigest, findMismatches, MANIFEST_LIMIT_BYTES, parseManifest } from './backup-manifest.ts';
import { type BackupSink, streamBaseBackup } from './base-backup.ts';
import { type Endpoint, withConnection } from './connection.ts';
import { PostgresError } from './errors.ts';
import { exists, makePrivateDirectory, syncDirectory, syncTree, writeFileAtomically } from './files.ts';

/** The files of a backup's directory: PostgreSQL's own two, as pg_basebackup --format=tar writes them, and what we know of it. */
export const BACKUP_FILES = { archive: 'base.tar', manifest: 'backup_manifest', about: 'backup.json' } as const;

/** What is known of a backup without reading it. */
export interface BackupAbout {
  readonly schema: 1;
  readonly cluster: string;
  /** In decimal. */
  readonly systemId: string;
  readonly serverVersion: string;
  readonly timeline: number;
  /** Replay begins here; the archive holds all WAL from here to the end of the backup. */
  readonly startLsn: string;
  readonly takenAtMs: number;
  readonly bytes: number;
  readonly files: number;
}

/**
 * Takes a base backup of a running server into a new directory, with the WAL that it needs, and checks it against its manifest while it is
 * written: a directory of that name is complete and right. An error leaves nothing. Throws `data-directory-foreign` (it exists), `clone-unverified`, `tablespaces-unsupported`,
 * and the errors of withConnection.
 */
export async function takeBackup(endpoint: Endpoint, cluster: string, directory: string): Promise<BackupAbout> {
  if (await exists(directory)) throw new PostgresError('data-directory-foreign', `${directory} exists already`);
  const side = `${directory}.unfinished`;
  await rm(side, { recursive: true, force: true });
  await makePrivateDirectory(null, side);
  try {
    const about = await receive(endpoint, cluster, side);
    await writeFileAtomically(null, join(side, BACKUP_FILES.about), `${JSON.stringify(about, null, 2)}\n`);
    await syncTree(side);
    await rename(side, directory);
    await syncDirectory(dirname(directory));
    return about;
  } catch (error) {
    await rm(side, { recursive: true, force: true });
    throw error;
  }
}

async function receive(endpoint: Endpoint, cluster: string, side: string): Promise<BackupAbout> {
  return await withConnection(endpoint, { deadlineMs: null, applicationName: 'understudy_backup' }, async connection => {
    const [system] = await connection.query('IDENTIFY_SYSTEM');
    const [version] = await connection.query(
      "SELECT pg_catalog.current_setting('server_version_num') AS number, pg_catalog.current_setting('server_version') AS text",
    );
    const sink = new FileSink(side);
    const takenAtMs = Date.now();
    const streamed = streamBaseBackup(connection, Math.floor(Number(version?.[0]?.['number']) / 10_000), sink);
    await streamed.catch(async (error: unknown) => {
      await sink.abandon();
      throw error;
    });
    const digests = await sink.end();
    const manifest = await readFile(join(side, BACKUP_FILES.manifest));
    requireMatch(findMismatches(parseManifest(manifest), digests));
    return {
      schema: 1,
      cluster,
      systemId: system?.[0]?.['systemid'] ?? '',
      serverVersion: version?.[0]?.['text'] ?? '',
      timeline: Number(system?.[0]?.['timeline']),
      startLsn: startOf(manifest),
      takenAtMs,
      bytes: sink.bytes,
      files: digests.size,
    };
  });
}

/** The first range of WAL that replay needs, as the manifest has it. */
function startOf(manifest: Buffer): string {
  const { 'WAL-Ranges': ranges } = JSON.parse(manifest.toString('utf8')) as { 'WAL-Ranges'?: readonly { 'Start-LSN': string }[] };
  return ranges?.[0]?.['Start-LSN'] ?? '';
}

/** Reads a backup again and compares every file with the manifest. Throws `clone-unverified` with what is wrong, or when files of it are missing. */
export async function verifyBackup(directory: string): Promise<BackupAbout> {
  const about = await readAbout(directory);
  const manifest = await readFile(join(directory, BACKUP_FILES.manifest)).catch(() => {
    throw new PostgresError('clone-unverified', `${directory} has no ${BACKUP_FILES.manifest}`);
  });
  const archive = extract();
  const [digests] = await Promise.all([
    digestArchive(archive),
    pipeline(createReadStream(join(directory, BACKUP_FILES.archive)), archive, { end: true }),
  ]).catch((error: Error) => {
    throw new PostgresError('clone-unverified', `${directory} cannot be read: ${error.message}`, { cause: error });
  });
  try {
    requireMatch(findMismatches(parseManifest(manifest), digests));
  } catch (error) {
    if (error instanceof PostgresError) throw error;
    throw new PostgresError('clone-unverified', `${directory}: ${(error as Error).message}`, { cause: error });
  }
  return about;
}

/** Throws `clone-unverified` when the directory holds no backup of ours. */
export async function readAbout(directory: string): Promise<BackupAbout> {
  try {
    const about = JSON.parse(await readFile(join(directory, BACKUP_FILES.about), 'utf8')) as BackupAbout;
    if (about.schema === 1 && typeof about.serverVersion === 'string') return about;
  } catch {
    // Told below.
  }
  throw new PostgresError('clone-unverified', `${directory} holds no backup that Understudy has made`);
}

function requireMatch(mismatches: readonly string[]): void {
  if (mismatches.length === 0) return;
  throw new PostgresError('clone-unverified', 'the backup does not agree with its manifest', { detail: mismatches.join('\n') });
}

/** The digest of each file of an archive that flows by. */
async function digestArchive(archive: ReturnType<typeof extract>): Promise<ReadonlyMap<string, FileDigest>> {
  const digests = new Map<string, FileDigest>();
  for await (const entry of archive) {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      hash.update(chunk);
      size += chunk.length;
    }
    if (entry.header.type === 'file') digests.set(entry.header.name.replace(/^[.]\//, ''), { size, sha256: hash.digest('hex') });
  }
  return digests;
}

/** Writes what arrives as it is, and reads it at the same time as what it will be read as later. */
class FileSink implements BackupSink {
  bytes = 0;
  readonly #archiveFile: WriteStream;
  readonly #manifestFile: WriteStream;
  readonly #reader = extract();
  readonly #digests: Promise<ReadonlyMap<string, FileDigest>>;
  readonly #written: Promise<unknown>;
  #manifestBytes = 0;
  #readerIsFull = false;

  constructor(directory: string) {
    this.#archiveFile = createWriteStream(join(directory, BACKUP_FILES.archive), { mode: 0o600 });
    this.#manifestFile = createWriteStream(join(directory, BACKUP_FILES.manifest), { mode: 0o600 });
    this.#digests = digestArchive(this.#reader);
    this.#written = Promise.all([closed(this.#archiveFile), closed(this.#manifestFile)]);
    // What goes wrong is told by end(); until then it may not end the process.
    this.#digests.catch(() => undefined);
    this.#written.catch(() => undefined);
  }

  begin(): void {}

  writeArchive(data: Buffer): boolean {
    if (this.#archiveFile.errored) throw this.#archiveFile.errored;
    this.bytes += data.length;
    // The parser of the protocol uses its buffer again.
    const copy = Buffer.from(data);
    const fileTakesMore = this.#archiveFile.write(copy);
    this.#readerIsFull = !this.#reader.write(copy);
    return fileTakesMore && !this.#readerIsFull;
  }

  writeManifest(data: Buffer): void {
    this.#manifestBytes += data.length;
    if (this.#manifestBytes > MANIFEST_LIMIT_BYTES) throw new PostgresError('clone-failed', 'the manifest is too large');
    this.#manifestFile.write(Buffer.from(data));
  }

  onDrain(resume: () => void): void {
    const room = (): void => {
      if (!this.#archiveFile.writableNeedDrain && !this.#readerIsFull) resume();
    };
    this.#archiveFile.on('drain', room);
    this.#reader.on('drain', () => {
      this.#readerIsFull = false;
      room();
    });
  }

  /** Everything is in the files; gives the digest of each file in the archive. */
  async end(): Promise<ReadonlyMap<string, FileDigest>> {
    this.#reader.end(null);
    this.#archiveFile.end();
    this.#manifestFile.end();
    const [digests] = await Promise.all([this.#digests, this.#written]);
    return digests;
  }

  async abandon(): Promise<void> {
    this.#reader.destroy();
    this.#archiveFile.destroy();
    this.#manifestFile.destroy();
    await this.#written.catch(() => undefined);
  }
}

function closed(stream: WriteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('close', resolve);
    stream.once('error', reject);
  });
}
