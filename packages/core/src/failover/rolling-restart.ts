import type { MemberId, StandbyLimits } from '../cluster/index.ts';
import { HOT_STANDBY_SETTINGS } from '../cluster/index.ts';

/** What is known of one member when it is decided what to restart next. */
export interface RestartCandidate {
  readonly id: MemberId;
  /** Its server is one of those that are to be replaced, and has not been yet. */
  readonly isDue: boolean;
  /** Leads and is open, or streams from who does and counts as it should, with nothing else under way. */
  readonly isWell: boolean;
  /** What it is instead of well, for people. */
  readonly detail: string | null;
  readonly inCohort: boolean;
  readonly mayLead: boolean;
  readonly limits: StandbyLimits | null;
  /** A replica that has replayed what its primary noted when it started: the limits that it will be held to. */
  readonly knowsLimits: boolean;
}

/** Everything that the next step depends on. */
export interface RestartView {
  /** Null: nobody leads and is open now. */
  readonly primary: MemberId | null;
  /** How many of the cohort a commit waits for. */
  readonly acks: number;
  /** Whether commits are to be protected at all (durability `quorum`). */
  readonly protects: boolean;
  /** Those that stay, in the order in which they are preferred as the primary. */
  readonly members: readonly RestartCandidate[];
}

export type RestartStep =
  /** Shut down and started again where it is, as what it is. */
  | { readonly kind: 'restart'; readonly member: MemberId }
  /** Another one leads; the old primary is started anew on the way, as a replica. */
  | { readonly kind: 'switchover'; readonly from: MemberId; readonly to: MemberId }
  | { readonly kind: 'wait'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'done' };

/**
 * What a rolling restart does next: replicas one at a time, each waited for, then a switchover, which starts the old primary anew. Derived from what is
 * seen alone, so that it goes on where it was cut off. No step takes more members away than commits can do without, and no server is started with a
 * limit below its primary's: it would not start. A primary whose limits are lowered goes first, in place.
 */
export function nextRestartStep(view: RestartView): RestartStep {
  const leader = view.members.find(({ id }) => id === view.primary);
  const away = view.members.find(({ isWell }) => !isWell);
  if (leader === undefined) return { kind: 'wait', why: 'there is no open primary' };
  if (away !== undefined) return { kind: 'wait', why: `${away.id} is ${away.detail ?? 'not back yet'}` };
  const due = view.members.filter(member => member.isDue && member !== leader);
  const fitting = due.filter(member => fits(member, leader));
  const next = fitting.find(mayStart) ?? fitting[0];
  if (next !== undefined) return restartReplica(view, next);
  if (leader.isDue) return due.length > 0 ? restartInPlace(view, leader) : restartPrimary(view, leader);
  return due[0] === undefined ? { kind: 'done' } : { kind: 'refused', why: misfit(due[0], leader) };
}

function restartReplica(view: RestartView, member: RestartCandidate): RestartStep {
  if (!staysProtected(view, member)) return { kind: 'refused', why: unprotected(view, member) };
  if (!mayStart(member)) return { kind: 'wait', why: `${member.id} has not replayed the start of the primary yet` };
  return { kind: 'restart', member: member.id };
}

/** What it has replayed holds it to limits that it has now at least: only a lower one has to be waited for, which a delayed replica does last. */
function mayStart(member: RestartCandidate): boolean {
  return member.knowsLimits || (member.limits !== null && lacking(configured(member), running(member)) === null);
}

/** Clients wait least for a switchover. Where nobody can take over and leave commits protected, the primary is restarted as it is. */
function restartPrimary(view: RestartView, leader: RestartCandidate): RestartStep {
  const others = view.members.filter(member => member !== leader);
  const successor = others.find(
    member =>
      member.mayLead &&
      (member.inCohort || view.acks === 0) &&
      staysProtected(view, member) &&
      fits(leader, member) &&
      others.every(other => isWithin(member, other)),
  );
  if (successor !== undefined) return { kind: 'switchover', from: leader.id, to: successor.id };
  return restartInPlace(view, leader);
}

/** Its replicas stop replaying when the primary's limits become greater than theirs. */
function restartInPlace(view: RestartView, leader: RestartCandidate): RestartStep {
  const lesser = view.members.find(member => member !== leader && lacking(running(member), configured(leader)) !== null);
  if (lesser === undefined) return { kind: 'restart', member: leader.id };
  const name = lacking(running(lesser), configured(leader));
  const why = `${name} would be greater on the primary ${leader.id} than on its replica ${lesser.id}, and another limit is to be less. Change one first, then the other.`;
  return { kind: 'refused', why };
}

/** While this member is away, or leads, as many of the cohort are left as a commit waits for. */
function staysProtected({ protects, acks, members }: RestartView, without: RestartCandidate): boolean {
  if (!protects || !without.inCohort) return true;
  return acks > 0 && members.filter(member => member.inCohort && member !== without).length >= acks;
}

function unprotected({ acks }: RestartView, { id }: RestartCandidate): string {
  return `While ${id} is restarted fewer replicas would be left than commits wait for (${acks}), so they would stall or not be protected.`;
}

/** Whether it would start as a replica of this primary. */
function fits(member: RestartCandidate, primary: RestartCandidate): boolean {
  return lacking(configured(member), running(primary)) === null;
}

/** Whether the limits of one that is to lead are within those of a replica that runs. */
function isWithin(leader: RestartCandidate, replica: RestartCandidate): boolean {
  return lacking(running(replica), running(leader)) === null;
}

function misfit(member: RestartCandidate, primary: RestartCandidate): string {
  const name = lacking(configured(member), running(primary));
  return `${member.id} would not start: its ${name} is to be less than the primary's, which is ${running(primary)[name ?? '']} on ${primary.id}. Set it there, too.`;
}

type Limits = Readonly<Record<string, number>>;

function running({ limits }: RestartCandidate): Limits {
  return limits?.running ?? {};
}

function configured({ limits }: RestartCandidate): Limits {
  return limits?.configured ?? {};
}

/** The first limit of a replica that is below the primary's. What is not known does not count. */
function lacking(replica: Limits, primary: Limits): string | null {
  const known = (limits: Limits, name: string): number | null => limits[name] ?? null;
  return HOT_STANDBY_SETTINGS.find(name => (known(replica, name) ?? Number.POSITIVE_INFINITY) < (known(primary, name) ?? 0)) ?? null;
}

/** What the view should be once the step is done. */
export function afterStep(view: RestartView, step: RestartStep): RestartView {
  const renew = (id: MemberId): readonly RestartCandidate[] => view.members.map(member => (member.id === id ? renewed(member) : member));
  switch (step.kind) {
    case 'restart':
      return { ...view, members: renew(step.member) };
    case 'switchover': {
      const swap = (member: RestartCandidate): RestartCandidate =>
        member.id === step.to ? { ...member, inCohort: false } : member.id === step.from ? { ...member, inCohort: view.acks > 0 } : member;
      return { ...view, primary: step.to, members: renew(step.from).map(swap) };
    }
    case 'wait':
    case 'refused':
    case 'done':
      return view;
    default:
      return step satisfies never;
  }
}

function renewed(member: RestartCandidate): RestartCandidate {
  const { limits } = member;
  return { ...member, isDue: false, limits: limits && { ...limits, running: limits.configured } };
}

/** All steps to the end, if each goes well; the last one says how it ends. */
export function foreseenSteps(view: RestartView): readonly RestartStep[] {
  const steps: RestartStep[] = [];
  for (let now = view; steps.length <= 2 * view.members.length; now = afterStep(now, steps.at(-1)!)) {
    const step = nextRestartStep(now);
    steps.push(step);
    if (step.kind !== 'restart' && step.kind !== 'switchover') break;
  }
  return steps;
}
