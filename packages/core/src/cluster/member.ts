/** Name of a member: a lower-case letter, then letters and digits; n1, n2, … by default. At most 16 characters, since it is part of application_name. */
export type MemberId = string;

const MEMBER_ID = /^[a-z][a-z0-9]{0,15}$/;

export function isMemberId(text: string): boolean {
  return MEMBER_ID.test(text);
}

/** What the operator says of a member; changes only by compare-and-swap in the store. */
export interface MemberSpec {
  readonly id: MemberId;
  readonly host: string;
  readonly port: number;
  /** Preference among equally advanced candidates, 0 to 1000, higher first. */
  readonly priority: number;
  /** Never promoted, though it may acknowledge and promise. */
  readonly nofailover: boolean;
  /** Never counted in the cohort: an asynchronous or far replica. */
  readonly nosync: boolean;
  /** How much later than it was committed a change shows on it, in milliseconds; 0: at once. A delayed replica never counts, and is never promoted. */
  readonly applyDelayMs: number;
  /** A cascading replica: it streams from this member instead of the primary, and never counts. Null: from the primary. */
  readonly follows: MemberId | null;
  readonly zone: string | null;
  /** Relative share of reads, 0 to 1000. */
  readonly readWeight: number;
  /** `leaving`: it is taken out of the cohort and then stopped for good. */
  readonly lifecycle: 'member' | 'leaving';
}

/** The longest delay of a replica: a week of WAL lies on its disk then. */
export const APPLY_DELAY_MS_MAX: number = 7 * 86_400_000;

/** What the operator lets be promoted. A delayed replica would first have to show all at once what it was to hold back. */
export function isElectable({ nofailover, applyDelayMs }: MemberSpec): boolean {
  return !nofailover && applyDelayMs === 0;
}

/** What the operator lets be counted in the cohort. */
export function isSynchronous({ nosync, applyDelayMs, follows }: MemberSpec): boolean {
  return !nosync && applyDelayMs === 0 && follows === null;
}

const APPLICATION_NAME = /^([a-z][a-z0-9]{0,15})_t(\d{1,15})$/;

/**
 * The name under which a replica streams. It carries the term, so that synchronous_standby_names of an older primary
 * cannot match a replica that has promised a newer term (PostgreSQL matches by name only).
 */
export function streamName(id: MemberId, term: number): string {
  return `${id}_t${term}`;
}

export function parseStreamName(name: string): { readonly id: MemberId; readonly term: number } | null {
  const match = APPLICATION_NAME.exec(name);
  return match ? { id: match[1]!, term: Number(match[2]) } : null;
}

const CASCADE_NAME = /^([a-z][a-z0-9]{0,15})_t(\d{1,15})_from_([a-z][a-z0-9]{0,15})$/;

/**
 * The name under which a cascading replica streams from another replica. It is no stream name: what counts the streams of a primary (who acknowledges, who
 * proves that it lives) cannot count this one, even if the upstream is promoted under it.
 */
export function cascadeName(id: MemberId, term: number, upstream: MemberId): string {
  return `${streamName(id, term)}_from_${upstream}`;
}

const STANDBY_NAME = /^([a-z][a-z0-9]{0,15})_t(\d{1,15})_standby$/;

/**
 * The name under which a standby leader streams from the source. It is no stream name: the source may be a cluster with members of the same names, which
 * could be in terms of the same numbers, and must never take this stream for one of theirs, whose acknowledgement counts.
 */
export function standbyStreamName(id: MemberId, term: number): string {
  return `${id}_t${term}_standby`;
}

export function parseStandbyStreamName(name: string): { readonly id: MemberId; readonly term: number } | null {
  const match = STANDBY_NAME.exec(name);
  return match ? { id: match[1]!, term: Number(match[2]) } : null;
}

/** Under which name, in which term and from whom a replica streams. Null for a name that is not ours. */
export function parseFollowName(name: string): FollowName | null {
  const direct = parseStreamName(name);
  if (direct) return { ...direct, upstream: null };
  const standby = parseStandbyStreamName(name);
  if (standby) return { ...standby, upstream: 'source' };
  const match = CASCADE_NAME.exec(name);
  return match ? { id: match[1]!, term: Number(match[2]), upstream: { member: match[3]! } } : null;
}

export interface FollowName {
  readonly id: MemberId;
  readonly term: number;
  /** Null: the primary of the term; `source`: another cluster, which this one is a standby of. */
  readonly upstream: { readonly member: MemberId } | 'source' | null;
}
