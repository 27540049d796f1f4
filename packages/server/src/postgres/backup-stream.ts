/** A piece of a base backup. Data is valid only until the next piece is asked for. */
export type BackupPiece =
  /** The next bytes of the tar archive of the data directory. */
  | { readonly kind: 'archive'; readonly data: Buffer }
  /** The next bytes of the backup manifest. */
  | { readonly kind: 'manifest'; readonly data: Buffer }
  /** An archive that is not the data directory: a tablespace. */
  | { readonly kind: 'tablespace'; readonly location: string }
  /** Nothing to keep: a progress report, or the start of something that is told apart by its data. */
  | { readonly kind: 'none' };

const NONE: BackupPiece = { kind: 'none' };

/**
 * Tells apart what BASE_BACKUP sends (protocol-replication in PostgreSQL's documentation). From 15 on it is one COPY whose messages
 * begin with a letter: n(ew archive), d(ata), m(anifest), p(rogress). 14 sends one COPY for each archive and a last one for the manifest,
 * without letters.
 */
export class BackupStreamReader {
  readonly #major: number;
  #copies = 0;
  #inManifest = false;

  constructor(major: number) {
    this.#major = major;
  }

  /** A CopyOutResponse arrived. */
  beginCopy(): void {
    this.#copies += 1;
    if (this.#major < 15) this.#inManifest = this.#copies > 1;
  }

  /** A CopyData message arrived. Throws RangeError on a letter that the protocol does not have. */
  read(message: Buffer): BackupPiece {
    if (this.#major < 15) return this.#data(message);
    const letter = String.fromCharCode(message[0] ?? 0);
    switch (letter) {
      case 'd':
        return this.#data(message.subarray(1));
      case 'm':
        this.#inManifest = true;
        return NONE;
      case 'n':
        return readArchiveName(message);
      case 'p':
        return NONE;
      default:
        throw new RangeError(`unknown message in a base backup: ${JSON.stringify(letter)}`);
    }
  }

  #data(data: Buffer): BackupPiece {
    return { kind: this.#inManifest ? 'manifest' : 'archive', data };
  }
}

/** `n`, file name, 0, tablespace location (empty for the data directory), 0. */
function readArchiveName(message: Buffer): BackupPiece {
  const nameEnd = message.indexOf(0, 1);
  const location = message.toString('utf8', nameEnd + 1, message.indexOf(0, nameEnd + 1));
  return location === '' ? NONE : { kind: 'tablespace', location };
}

/** The command, in the words of each version. The label shows in backup_label and in the server's log. */
export function baseBackupCommand(major: number): string {
  return major >= 15
    ? "BASE_BACKUP (LABEL 'understudy', PROGRESS, CHECKPOINT 'fast', WAL, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')"
    : "BASE_BACKUP LABEL 'understudy' PROGRESS FAST WAL MANIFEST 'yes' MANIFEST_CHECKSUMS 'SHA256'";
}
