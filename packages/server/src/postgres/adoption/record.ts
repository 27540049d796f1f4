import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { UnderstudyError } from '@understudy/core/cluster';
import { z } from 'zod';
import type { Account } from '../account.ts';
import { errnoOf } from '../errors.ts';
import { writeFileAtomically } from '../files.ts';

/**
 * What a member remembers of the server that it has adopted: where its files are, and what was in them. Lies in the member's directory from the first change
 * that is made to the server until it is released.
 */
export interface AdoptionRecord {
  readonly schema: 1;
  readonly dataDirectory: string;
  /** postgresql.conf and pg_hba.conf as the server reads them, wherever they are. */
  readonly configFile: string;
  readonly hbaFile: string;
  readonly listenAddresses: string;
  readonly socketDirectories: readonly string[];
  readonly maxWalSenders: number;
  readonly maxReplicationSlots: number;
  /** Debian's start.conf, set to disabled meanwhile. */
  readonly startFile: string | null;
  /** The slot that it streamed from before. */
  readonly formerSlot: string | null;
  /** Files as they were before. */
  readonly originals: { readonly config: string; readonly hba: string; readonly auto: string };
}

const text = z.string();
const schema: z.ZodType<AdoptionRecord> = z.strictObject({
  schema: z.literal(1),
  dataDirectory: text.min(1),
  configFile: text.min(1),
  hbaFile: text.min(1),
  listenAddresses: text,
  socketDirectories: z.array(text),
  maxWalSenders: z.number().int(),
  maxReplicationSlots: z.number().int(),
  startFile: text.nullable(),
  formerSlot: text.nullable(),
  originals: z.strictObject({ config: text, hba: text, auto: text }),
});

const recordPath = (memberDirectory: string): string => join(memberDirectory, 'adopted.json');

/** Null: the member has adopted nothing. Throws `state-corrupt`. */
export async function readAdoption(memberDirectory: string): Promise<AdoptionRecord | null> {
  const path = recordPath(memberDirectory);
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw new UnderstudyError('state-corrupt', { path, why: (error as Error).message }, { cause: error });
  }
}

/** Durable before it returns. Of mode 0600: the files that it holds may hold passwords. */
export async function writeAdoption(account: Account | null, memberDirectory: string, record: AdoptionRecord): Promise<void> {
  await writeFileAtomically(account, recordPath(memberDirectory), `${JSON.stringify(record, null, 2)}\n`);
}

export async function removeAdoption(memberDirectory: string): Promise<void> {
  await rm(recordPath(memberDirectory), { force: true });
}
