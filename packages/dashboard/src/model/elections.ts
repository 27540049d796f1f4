import type { ClusterEvent, EventKind, TermRecord } from '@understudy/core/cluster';

/** The steps of a change of the primary, in the order in which they happen. */
const PHASES = ['detect', 'recruit', 'choose', 'promote', 'establish', 'switch'] as const;
export type PhaseName = (typeof PHASES)[number];

export interface Phase {
  readonly name: PhaseName;
  readonly ms: number;
}

/** How a term came to be. */
export interface Election {
  readonly term: number;
  readonly cause: 'failover' | 'switchover' | 'first';
  readonly outcome: 'complete' | 'under-way' | 'superseded';
  readonly from: string | null;
  readonly to: string | null;
  /** Wall clock of the first sign, and of the last milestone that was reached. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly phases: readonly Phase[];
  /** Why there was an election, and why this member won it; sentences of the events. */
  readonly reason: string;
  readonly choice: string | null;
  readonly lostBytes: number;
}

/** When each phase ended, as far as it has. */
type Milestones = Readonly<Partial<Record<PhaseName, number>>>;

/** Trouble further before the election than this did not cause it. */
const NOTICE_MAX_MS = 120_000;
/** The most elections that are shown. */
const ELECTIONS_MAX = 50;

const TROUBLES: ReadonlySet<EventKind> = new Set([
  'server-exited',
  'server-unresponsive',
  'server-failing',
  'agent-exited',
  'server-fenced',
]);
const REQUESTS: ReadonlySet<EventKind> = new Set(['switchover-requested', 'failover-requested']);

/** Every change of the primary that events or history tell of, newest first. Events know more phases; history reaches further back. */
export function electionsOf(events: readonly ClusterEvent[], history: readonly TermRecord[] = []): readonly Election[] {
  const heard = heardElections(events, history);
  const recorded = new Map(history.map((record, i) => [record.term, recordedElection(record, history[i - 1]?.primary ?? null)]));
  const terms = [...new Set([...heard.keys(), ...recorded.keys()])].sort((a, b) => b - a).slice(0, ELECTIONS_MAX);
  return terms.map(term => fuller(heard.get(term), recorded.get(term))).filter(election => election !== undefined);
}

/** How long it took, from the first sign to the last milestone. */
export function totalMsOf(election: Election): number {
  return election.phases.reduce((sum, phase) => sum + phase.ms, 0);
}

function fuller(heard: Election | undefined, recorded: Election | undefined): Election | undefined {
  if (heard?.outcome !== 'complete' && recorded?.outcome === 'complete') return recorded;
  return heard ?? recorded;
}

function heardElections(events: readonly ClusterEvent[], history: readonly TermRecord[]): ReadonlyMap<number, Election> {
  const elections = new Map<number, Election>();
  let primary: string | null = null;
  const starts = events.filter(event => event.kind === 'term-raised');
  const highest = Math.max(0, ...starts.map(start => start.term ?? 0));
  for (const start of starts) {
    if (start.term === null || elections.has(start.term)) continue;
    const before = history.findLast(record => record.term < start.term!)?.primary ?? null;
    const election = heardElection(events, start, start.term, primary ?? before, start.term < highest);
    elections.set(start.term, election);
    if (election.to !== null) primary = election.to;
  }
  return elections;
}

function heardElection(
  events: readonly ClusterEvent[],
  start: ClusterEvent,
  term: number,
  from: string | null,
  overtaken: boolean,
): Election {
  const first = (kind: EventKind): ClusterEvent | undefined => events.find(event => event.kind === kind && termOf(event) === term);
  const elected = first('primary-elected');
  const established = first('primary-established');
  const promised = events.findLast(e => e.kind === 'promised' && termOf(e) === term && elected !== undefined && e.id < elected.id);
  // A router that held statements before says that it goes on; one that held none only that it has switched.
  const switched =
    first('router-switched') ?? events.find(e => e.kind === 'router-released' && established !== undefined && e.id > established.id);
  const sign = signOf(events, start, from);
  const milestones = dropUndefined({
    detect: start.atMs,
    recruit: promised?.atMs,
    choose: elected?.atMs,
    promote: first('primary-promoted')?.atMs,
    establish: established?.atMs,
    switch: switched?.atMs,
  });
  const lost = first('data-lost')?.inputs['lostBytes'];
  return {
    term,
    cause: sign.cause,
    outcome: established ? 'complete' : overtaken ? 'superseded' : 'under-way',
    from,
    to: elected?.member ?? null,
    ...timed(sign.atMs, milestones),
    reason: start.message,
    choice: elected?.message ?? null,
    lostBytes: typeof lost === 'number' ? lost : 0,
  };
}

/** The term that an event belongs to. Who promises a term still is in the one before. */
function termOf(event: ClusterEvent): number | null {
  const { askedTerm } = event.inputs;
  return event.kind === 'promised' && typeof askedTerm === 'number' ? askedTerm : event.term;
}

/** What made somebody raise the term: an operator's wish, or the first trouble of the primary since the election before. */
function signOf(events: readonly ClusterEvent[], start: ClusterEvent, primary: string | null): { cause: Election['cause']; atMs: number } {
  const settled = events.findLast(e => e.id < start.id && (e.kind === 'primary-established' || e.kind === 'primary-confirmed'))?.id ?? -1;
  const recent = events.filter(e => e.id > settled && e.id < start.id && start.atMs - e.atMs <= NOTICE_MAX_MS);
  const request = recent.find(event => REQUESTS.has(event.kind));
  const trouble = recent.find(event => TROUBLES.has(event.kind) && (primary === null || event.member === primary));
  const { trigger, noticedMs } = start.inputs;
  if (trigger === 'bootstrap') return { cause: 'first', atMs: start.atMs };
  const cause = trigger === 'switchover' || (trigger === undefined && request?.kind === 'switchover-requested') ? 'switchover' : 'failover';
  if (request) return { cause, atMs: request.atMs };
  const noticedAtMs = start.atMs - (typeof noticedMs === 'number' ? noticedMs : 0);
  return { cause, atMs: Math.min(noticedAtMs, trouble?.atMs ?? noticedAtMs) };
}

function recordedElection(record: TermRecord, from: string | null): Election {
  const milestones = dropUndefined({
    detect: record.raisedAtMs,
    choose: record.electedAtMs,
    promote: record.promotedAtMs ?? undefined,
    establish: record.establishedAtMs ?? undefined,
  });
  return {
    term: record.term,
    cause: record.trigger === 'bootstrap' ? 'first' : record.trigger === 'switchover' ? 'switchover' : 'failover',
    outcome: record.establishedAtMs === null ? 'under-way' : 'complete',
    from,
    to: record.primary,
    ...timed(record.raisedAtMs - (record.detectMs ?? 0), milestones),
    reason: record.reason,
    choice: null,
    lostBytes: record.lostBytes,
  };
}

/** Differences between milestones. Members' clocks may disagree a little: a phase is never shorter than nothing. */
function timed(startedAtMs: number, milestones: Milestones): Pick<Election, 'startedAtMs' | 'endedAtMs' | 'phases'> {
  const phases: Phase[] = [];
  let reachedMs = startedAtMs;
  for (const name of PHASES) {
    const atMs = milestones[name];
    if (atMs === undefined) continue;
    phases.push({ name, ms: Math.max(0, atMs - reachedMs) });
    reachedMs = Math.max(reachedMs, atMs);
  }
  return { startedAtMs, endedAtMs: reachedMs, phases };
}

function dropUndefined(milestones: { readonly [name in PhaseName]?: number | undefined }): Milestones {
  return Object.fromEntries(Object.entries(milestones).filter(([, atMs]) => atMs !== undefined));
}
