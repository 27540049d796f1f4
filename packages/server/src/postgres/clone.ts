import { join } from 'node:path';
import type { SourceAddress, SourceSpec } from '@understudy/core/cluster';
import { extract } from 'tar-stream';
import { findMismatches, MANIFEST_LIMIT_BYTES, parseManifest } from './backup-manifest.ts';
import { type BackupSink, streamBaseBackup } from './base-backup.ts';
import { type Connection, type Endpoint, withConnection } from './connection.ts';
import { errnoOf, PostgresError } from './errors.ts';
import { makePrivateDirectory, writeFileAtomically } from './files.ts';
import { makeDataDirectory, writeIsolatedSettings } from './new-data-directory.ts';
import type { ServerSpec } from './replication.ts';
import { REPLICATION_ROLE, tlsOfMember } from './settings.ts';
import { adoptSettingsFiles, completeSettingsFiles } from './settings-files.ts';
import { sourceEndpoint } from './source.ts';
import { ensureSlot } from './slots.ts';
import { unpackArchive } from './unpack.ts';

interface CloneProgress {
  readonly bytesDone: number;
  /** The source's estimate, WAL not included: bytesDone may end above it. Null before it is known. */
  readonly bytesTotal: number | null;
}

interface CloneOptions {
  /** The server to copy; connected to as the replication role. */
  readonly source: SourceAddress;
  /** Where that is a server of another cluster, which this one becomes a standby of. */
  readonly standbyOf?: SourceSpec;
  /** The cluster that the source must belong to, in decimal. */
  readonly systemId: string;
  /** Physical slot to make on the source before the copy begins, so that the WAL after it stays; null for none. */
  readonly slotName: string | null;
  readonly onProgress?: (progress: CloneProgress) => void;
  readonly signal?: AbortSignal;
}

interface CloneResult {
  readonly bytes: number;
  readonly files: number;
}

/**
 * Copies a running server (primary or replica) into this member, whose data directory must not exist. Everything is written to a side
 * directory, checked against the manifest's SHA-256 sums, synced and only then renamed into place: a half copy is never
 * taken for a member. The result starts as a replica only. An abort or an error leaves nothing.
 * Throws `data-directory-foreign` (something is there), `system-identifier-mismatch`, `data-directory-version`, `tablespaces-unsupported`,
 * `clone-unverified`, `clone-aborted`, `clone-failed`, `disk-full`, and the errors of withConnection.
 */
export async function clone(spec: ServerSpec, options: CloneOptions): Promise<CloneResult> {
  const { account, paths, settings } = spec;
  const fill = async (side: string): Promise<CloneResult> => {
    await makePrivateDirectory(account, side);
    const result = await receive(spec, options, side);
    const streaming = settings.tlsDirectory === null ? 'password' : 'certificate';
    if (options.standbyOf) await adoptSettingsFiles(account, side, streaming);
    else if (paths.configFile === null) await completeSettingsFiles(account, side, streaming);
    await writeFileAtomically(account, join(side, 'standby.signal'), '');
    await writeIsolatedSettings(spec, side);
    return result;
  };
  return await makeDataDirectory(spec, fill, options.signal).catch((error: unknown) => {
    throw explain(error, options.signal);
  });
}

function explain(error: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return new PostgresError('clone-aborted', 'the clone was aborted', { cause: error });
  if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT')
    return new PostgresError('disk-full', 'the disk is too small for the clone', { cause: error });
  if (error instanceof PostgresError) return error;
  return new PostgresError('clone-failed', `the clone failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

async function receive(spec: ServerSpec, options: CloneOptions, directory: string): Promise<CloneResult> {
  const { source, standbyOf } = options;
  const member = { ...source, user: REPLICATION_ROLE, password: spec.credentials.replication, tls: tlsOfMember(spec.settings) };
  const endpoint: Endpoint = standbyOf ? sourceEndpoint(spec, standbyOf, source) : member;
  const connectionOptions = {
    deadlineMs: null,
    applicationName: 'understudy_clone',
    ...(options.signal ? { signal: options.signal } : {}),
  };
  return await withConnection(endpoint, connectionOptions, async connection => {
    await checkSource(connection, spec, options.systemId);
    if (options.slotName !== null) await ensureSlot(connection, options.slotName);
    return await transfer(connection, new Receiver(directory, spec, options.onProgress ?? (() => undefined)), spec.provider.version.major);
  });
}

/** Stream and files go on side by side; the first that fails ends the other, and nothing is left running when this settles. */
async function transfer(connection: Connection, receiver: Receiver, major: number): Promise<CloneResult> {
  const failures: unknown[] = [];
  const streamed = streamBaseBackup(connection, major, receiver).then(
    () => receiver.end(),
    (error: unknown) => {
      failures.push(error);
      receiver.destroy();
    },
  );
  const unpacked = receiver.unpacked.catch((error: unknown) => {
    failures.push(error);
    connection.socket.destroy();
    return null;
  });
  const [, result] = await Promise.all([streamed, unpacked]);
  if (failures.length > 0 || result === null) throw failures[0];
  return result;
}

async function checkSource(connection: Connection, spec: ServerSpec, systemId: string): Promise<void> {
  const [system] = await connection.query('IDENTIFY_SYSTEM');
  const [version] = await connection.query("SELECT pg_catalog.current_setting('server_version_num') AS version");
  const found = system?.[0]?.['systemid'];
  if (found !== systemId) {
    throw new PostgresError(
      'system-identifier-mismatch',
      `the source belongs to another cluster: its system identifier is ${found}, not ${systemId}`,
    );
  }
  const major = Math.floor(Number(version?.[0]?.['version']) / 10_000);
  if (major !== spec.provider.version.major) {
    throw new PostgresError(
      'data-directory-version',
      `the source is PostgreSQL ${major}, the binaries here are PostgreSQL ${spec.provider.version.text}`,
    );
  }
}

/** What may wait for the disk before the sender is held back. */
const ARCHIVE_BUFFER_BYTES = 1024 * 1024;
/** Progress is told at most this often, in bytes. */
const PROGRESS_STEP_BYTES = 1024 * 1024;

/** Where a backup flows to: the archive into files, the manifest into memory. */
class Receiver implements BackupSink {
  /** Settles when everything is written and agrees with the manifest. */
  readonly unpacked: Promise<CloneResult>;
  readonly #archive = extract({ highWaterMark: ARCHIVE_BUFFER_BYTES });
  readonly #manifest: Buffer[] = [];
  readonly #onProgress: (progress: CloneProgress) => void;
  #manifestBytes = 0;
  #bytesDone = 0;
  #bytesTold = 0;
  #bytesTotal: number | null = null;

  constructor(directory: string, spec: ServerSpec, onProgress: (progress: CloneProgress) => void) {
    this.#onProgress = onProgress;
    this.unpacked = this.#unpack(directory, spec);
  }

  begin(bytesTotal: number): void {
    this.#bytesTotal = bytesTotal;
    this.#onProgress({ bytesDone: 0, bytesTotal });
  }

  writeArchive(data: Buffer): boolean {
    this.#bytesDone += data.length;
    if (this.#bytesDone - this.#bytesTold >= PROGRESS_STEP_BYTES) {
      this.#bytesTold = this.#bytesDone;
      this.#onProgress({ bytesDone: this.#bytesDone, bytesTotal: this.#bytesTotal });
    }
    // The parser of the protocol uses its buffer again.
    return this.#archive.write(Buffer.from(data));
  }

  writeManifest(data: Buffer): void {
    this.#manifestBytes += data.length;
    if (this.#manifestBytes > MANIFEST_LIMIT_BYTES)
      throw new PostgresError('clone-failed', `the manifest is larger than ${MANIFEST_LIMIT_BYTES} bytes`);
    this.#manifest.push(Buffer.from(data));
  }

  onDrain(resume: () => void): void {
    this.#archive.on('drain', resume);
  }

  end(): void {
    this.#archive.end(null);
  }

  destroy(): void {
    this.#archive.destroy(new Error('the backup was interrupted'));
  }

  async #unpack(directory: string, spec: ServerSpec): Promise<CloneResult> {
    const received = await unpackArchive(this.#archive, directory, spec.account);
    const mismatches = this.#compare(received);
    if (mismatches.length > 0)
      throw new PostgresError('clone-unverified', 'the copy does not agree with its manifest', { detail: mismatches.join('\n') });
    this.#onProgress({ bytesDone: this.#bytesDone, bytesTotal: this.#bytesTotal });
    return { bytes: this.#bytesDone, files: received.size };
  }

  #compare(received: Parameters<typeof findMismatches>[1]): readonly string[] {
    try {
      return findMismatches(parseManifest(Buffer.concat(this.#manifest)), received);
    } catch (error) {
      return [error instanceof Error ? error.message : String(error)];
    }
  }
}
