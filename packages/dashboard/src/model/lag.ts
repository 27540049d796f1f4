import type { MemberStatus } from '../../../server/src/api/types.ts';

/** The way of WAL to a replica. */
const STAGES = ['sent', 'written', 'flushed', 'replayed'] as const;
export type StageName = (typeof STAGES)[number];

/** How far behind the primary a stage is; null: not known. */
export interface Stage {
  readonly name: StageName;
  readonly bytes: number | null;
  readonly ms: number | null;
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

/** As the primary sees them; where it does not, what the replica itself says that it has received and replayed. */
export function stagesOf(primary: MemberStatus | undefined, replica: MemberStatus): readonly Stage[] {
  const { lagStages } = replica;
  if (lagStages) return STAGES.map(name => ({ name, bytes: lagStages[name]?.bytes ?? null, ms: lagStages[name]?.ms ?? null }));
  const [head, received, replayed] = [lsnOf(primary?.receiveLsn ?? null), lsnOf(replica.receiveLsn), lsnOf(replica.replayLsn)];
  const own = { sent: null, written: distance(head, received), flushed: null, replayed: distance(head, replayed) };
  return STAGES.map(name => ({ name, bytes: own[name], ms: null }));
}

/** The stage before which most of the WAL waits that the replica lacks; null while it lacks nothing to speak of. */
export function slowStageOf(stages: readonly Stage[], member: MemberStatus): StageName | null {
  if (!isLagging(member)) return null;
  let before = 0;
  let slow: { name: StageName; waiting: number } | null = null;
  for (const { name, bytes } of stages) {
    if (bytes === null) continue;
    if (bytes - before > (slow?.waiting ?? 0)) slow = { name, waiting: bytes - before };
    before = bytes;
  }
  return slow?.name ?? null;
}

/** A delayed replica is behind on purpose: only by more than its delay it lags. */
export function isLagging({ lagBytes, lagMs, applyDelayMs }: MemberStatus): boolean {
  if (applyDelayMs !== undefined) return (lagMs ?? 0) > applyDelayMs + LAG_NOTABLE_MS;
  return (lagBytes ?? 0) > LAG_NOTABLE_BYTES || (lagMs ?? 0) > LAG_NOTABLE_MS;
}

function distance(ahead: bigint | null, behind: bigint | null): number | null {
  if (ahead === null || behind === null) return null;
  return ahead > behind ? Number(ahead - behind) : 0;
}
