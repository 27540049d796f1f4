import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '@understudy/core/cluster';
import { errnoOf, PostgresError } from './errors.ts';

/** DBState of pg_control.h, in its order. */
const STATES = [
  'starting',
  'shut-down',
  'shut-down-in-recovery',
  'shutting-down',
  'in-crash-recovery',
  'in-archive-recovery',
  'in-production',
] as const;

type ControlState = (typeof STATES)[number];

/** What pg_control says of a server, running or not. */
export interface ControlFile {
  /** In decimal, as PostgreSQL shows it. */
  readonly systemId: string;
  readonly state: ControlState;
  /** Where the latest checkpoint record begins. */
  readonly checkpointLsn: Lsn;
  /** Where recovery from that checkpoint begins. */
  readonly redoLsn: Lsn;
  readonly timeline: number;
  readonly previousTimeline: number;
}

/** pg_control_version of PostgreSQL 13–16 is 1300, of 17 1700, of 18 1800; the head of the file is the same in all of them. */
const OLDEST_CONTROL_VERSION = 1300;

/**
 * Reads the head of global/pg_control (struct ControlFileData): it is the machine's own byte order, little-endian on every platform that
 * has binaries. Throws `data-directory-corrupt`.
 */
export function parseControlFile(bytes: Buffer): ControlFile {
  const version = bytes.length >= 56 ? bytes.readUInt32LE(8) : 0;
  const state = bytes.length >= 56 ? STATES[bytes.readInt32LE(16)] : undefined;
  if (version < OLDEST_CONTROL_VERSION || version > 9999 || state === undefined) {
    throw new PostgresError('data-directory-corrupt', 'pg_control is not readable');
  }
  return {
    systemId: bytes.readBigUInt64LE(0).toString(),
    state,
    checkpointLsn: bytes.readBigUInt64LE(32),
    redoLsn: bytes.readBigUInt64LE(40),
    timeline: bytes.readUInt32LE(48),
    previousTimeline: bytes.readUInt32LE(52),
  };
}

/** Throws `data-directory-corrupt` when it is missing or unreadable. */
export async function readControlFile(dataDirectory: string): Promise<ControlFile> {
  const path = join(dataDirectory, 'global', 'pg_control');
  try {
    return parseControlFile(await readFile(path));
  } catch (error) {
    if (error instanceof PostgresError || errnoOf(error) !== 'ENOENT') throw error;
    throw new PostgresError('data-directory-corrupt', `${path} is missing`, { cause: error });
  }
}
