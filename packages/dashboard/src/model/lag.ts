import type { MemberStatus } from '../../../server/src/api/types.ts';

/** Where a replica's lag is: WAL that it has not received, and WAL that it has received but not replayed. Bytes. */
export interface LagStages {
  readonly transitBytes: number;
  readonly replayBytes: number;
}

/** A replica further behind than this is marked. Bytes and milliseconds. */
const LAG_NOTABLE_BYTES = 16_777_216;
const LAG_NOTABLE_MS = 1000;

const LSN_TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;

/** PostgreSQL's text form of a WAL position as a number of bytes; null when it is none. */
export function lsnOf(text: string | null): bigint | null {
  const match = text === null ? null : LSN_TEXT.exec(text);
  return match ? (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`) : null;
}

/** Null unless all positions are known. The two sum up to the lag in bytes, but for positions sampled at different moments. */
export function lagStages(primary: MemberStatus | undefined, replica: MemberStatus): LagStages | null {
  const [head, received, replayed] = [lsnOf(primary?.receiveLsn ?? null), lsnOf(replica.receiveLsn), lsnOf(replica.replayLsn)];
  if (head === null || received === null || replayed === null) return null;
  return { transitBytes: distance(head, received), replayBytes: distance(received, replayed) };
}

export function isLagging(member: MemberStatus): boolean {
  return (member.lagBytes ?? 0) > LAG_NOTABLE_BYTES || (member.lagMs ?? 0) > LAG_NOTABLE_MS;
}

function distance(ahead: bigint, behind: bigint): number {
  return ahead > behind ? Number(ahead - behind) : 0;
}
