import { createHash } from 'node:crypto';

/** Size and SHA-256 (hexadecimal) of one file. */
export interface FileDigest {
  readonly size: number;
  readonly sha256: string;
}

/** A manifest larger than this (some two million files) is refused. */
export const MANIFEST_LIMIT_BYTES: number = 512 * 1024 * 1024;

/**
 * Reads a backup manifest (backup-manifest-format in PostgreSQL's documentation) and checks its own checksum, which covers all that stands before
 * its last line. Gives the digest of each file by path. Throws RangeError when it is damaged, or not of the kind that we asked for.
 */
export function parseManifest(bytes: Buffer): ReadonlyMap<string, FileDigest> {
  const lastLine = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
  const manifest = parseJson(bytes);
  const sum = createHash('sha256').update(bytes.subarray(0, lastLine)).digest('hex');
  if (manifest['Manifest-Checksum'] !== sum) throw new RangeError('the checksum of the manifest is wrong');
  const files = new Map<string, FileDigest>();
  for (const file of manifest.Files ?? []) {
    const path = file.Path ?? Buffer.from(file['Encoded-Path'] ?? '', 'hex').toString('utf8');
    if (file['Checksum-Algorithm'] !== 'SHA256' || typeof file.Checksum !== 'string' || typeof file.Size !== 'number') {
      throw new RangeError(`the manifest has no SHA256 of ${path}`);
    }
    files.set(path, { size: file.Size, sha256: file.Checksum.toLowerCase() });
  }
  return files;
}

interface ManifestText {
  readonly 'Manifest-Checksum'?: string;
  readonly Files?: readonly {
    readonly Path?: string;
    readonly 'Encoded-Path'?: string;
    readonly Size?: number;
    readonly 'Checksum-Algorithm'?: string;
    readonly Checksum?: string;
  }[];
}

function parseJson(bytes: Buffer): ManifestText {
  try {
    return JSON.parse(bytes.toString('utf8')) as ManifestText;
  } catch (error) {
    throw new RangeError('the manifest is not complete', { cause: error });
  }
}

/** What differs between the files that were received and those that the manifest promises; empty when all is well. At most ten are named. */
export function findMismatches(expected: ReadonlyMap<string, FileDigest>, received: ReadonlyMap<string, FileDigest>): readonly string[] {
  const mismatches: string[] = [];
  for (const [path, digest] of expected) {
    const found = received.get(path);
    if (!found) mismatches.push(`${path}: missing`);
    else if (found.size !== digest.size) mismatches.push(`${path}: ${found.size} bytes instead of ${digest.size}`);
    else if (found.sha256 !== digest.sha256) mismatches.push(`${path}: its checksum is wrong`);
    if (mismatches.length === 10) return mismatches;
  }
  for (const path of received.keys()) {
    // The WAL is not in the manifest: each of its records has a checksum of its own, which recovery checks.
    if (!expected.has(path) && !path.startsWith('pg_wal/')) mismatches.push(`${path}: not in the manifest`);
    if (mismatches.length === 10) return mismatches;
  }
  return mismatches;
}
