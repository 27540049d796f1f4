import pg from 'pg';
import { type BackupPiece, BackupStreamReader, baseBackupCommand } from './backup-stream.ts';
import type { Connection } from './connection.ts';
import { PostgresError } from './errors.ts';

/** Takes what arrives; while `write` is false the sender is held back until the next `onDrain`. */
export interface BackupSink {
  /** Estimated size of the data directory, told before the first byte. */
  begin(bytesTotal: number): void;
  /** The archive's next bytes: false asks for a pause. The buffer must be copied if it is kept. */
  writeArchive(data: Buffer): boolean;
  writeManifest(data: Buffer): void;
  /** Registers what to call when there is room again. */
  onDrain(resume: () => void): void;
}

/** A sender that says nothing for this long is taken for dead; a checkpoint on a slow disk may take its time first. */
const STALL_TIMEOUT_MS = 60_000;

/**
 * Runs BASE_BACKUP on a walsender connection and streams it into the sink. The socket is paused while the sink is full, so memory stays bounded by a few
 * socket reads however slow the disk is. Throws `tablespaces-unsupported`, `clone-failed`, and whatever the sink throws.
 */
export async function streamBaseBackup(connection: Connection, major: number, sink: BackupSink): Promise<void> {
  const { client, stream } = connection;
  const reader = new BackupStreamReader(major);
  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(error);
      stream.destroy();
    };
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        fail(error);
      }
    };
    sink.onDrain(() => stream.resume());
    stream.setTimeout(STALL_TIMEOUT_MS, () =>
      fail(new PostgresError('clone-failed', `the source sent nothing for ${STALL_TIMEOUT_MS / 1000} s`)),
    );
    client.connection.on('copyOutResponse', () => reader.beginCopy());
    client.connection.on('copyData', (message: { readonly chunk: Buffer }) => {
      guarded(() => {
        if (!deliver(reader.read(message.chunk), sink)) stream.pause();
      });
    });
    const query = new pg.Query<Record<string, string | null>>(baseBackupCommand(major));
    query.on('row', row => guarded(() => beginBackup(row, sink)));
    query.on('error', fail);
    query.on('end', () => resolve());
    client.query(query);
  }).finally(() => stream.setTimeout(0));
}

/** Rows of the second result: one for each tablespace, the data directory with an empty oid; sizes in KiB. */
function beginBackup(row: Record<string, string | null>, sink: BackupSink): void {
  if (!('spcoid' in row)) return;
  if (row['spcoid'] != null) throw tablespaces(row['spclocation'] ?? '');
  sink.begin(Number(row['size'] ?? 0) * 1024);
}

function deliver(piece: BackupPiece, sink: BackupSink): boolean {
  switch (piece.kind) {
    case 'archive':
      return sink.writeArchive(piece.data);
    case 'manifest':
      sink.writeManifest(piece.data);
      return true;
    case 'tablespace':
      throw tablespaces(piece.location);
    case 'none':
      return true;
    default:
      return piece satisfies never;
  }
}

function tablespaces(location: string): PostgresError {
  return new PostgresError(
    'tablespaces-unsupported',
    `the source keeps a tablespace in ${location}; members with tablespaces cannot be cloned`,
  );
}
