import { type ClusterState, type Lsn, type MemberId, type MemberReport, parseFollowName, parseStreamName } from '@understudy/core/cluster';
import { isHoldingBack, leadingServer, type LocalFacts, type RepairFault, type SourceFacts, streamsUnder } from '@understudy/core/failover';
import type { Observation } from '../postgres/index.ts';

/** A member that streams or leads needs no repair: what failed before is over. */
const NO_REPAIR: LocalFacts['repair'] = { attempts: 0, lastAtMs: 0, fault: 'unknown' };

type Slot = Observation['slots'][number];

/**
 * What an agent remembers between two looks: since when it has known what. Fed with each state, report and observation; nothing here
 * is durable, and after a restart of the agent it begins again, which only ever makes decide more patient.
 */
export class FactKeeper {
  readonly #self: MemberId;
  readonly #startedAtMs: number;
  #state: ClusterState | null = null;
  #proposalTerm = -1;
  #proposalAtMs: number;
  #ruleTerm = -1;
  #ruleAtMs: number;
  #intentId: string | null = null;
  #intentAtMs: number;
  #leadingAtMs: number;
  #leaseSentAtMs: number;
  #open: LocalFacts['open'] = null;
  #namesInForceSince: LocalFacts['namesInForceSince'] = null;
  #primaryFlush: LocalFacts['primaryFlush'] = null;
  #streamedAtMs: Record<MemberId, number> = {};
  /** When the last message of a primary came, under the present term. */
  #primaryHeardAtMs: number;
  #upstreamAtMs: number;
  #followsAs: string | null = null;
  #followsSinceMs: number;
  #slots: readonly string[] | null = null;
  #leftoverSlots: readonly string[] = [];
  #isReleased = false;
  #repair = NO_REPAIR;
  #source: SourceFacts | null = null;
  #drainedIntent: string | null = null;

  constructor(self: MemberId, nowMs: number) {
    this.#self = self;
    this.#startedAtMs = nowMs;
    this.#proposalAtMs = nowMs;
    this.#ruleAtMs = nowMs;
    this.#intentAtMs = nowMs;
    this.#leadingAtMs = nowMs;
    this.#primaryHeardAtMs = nowMs;
    this.#upstreamAtMs = nowMs;
    this.#followsSinceMs = nowMs;
    this.#leaseSentAtMs = nowMs;
  }

  noteState(state: ClusterState, nowMs: number): void {
    this.#state = state;
    const proposal = state.proposal?.term ?? 0;
    if (proposal !== this.#proposalTerm) this.#proposalAtMs = nowMs;
    this.#proposalTerm = proposal;
    const rule = state.rule?.term ?? 0;
    if (rule !== this.#ruleTerm) {
      this.#ruleAtMs = nowMs;
      this.#streamedAtMs = {};
    }
    this.#ruleTerm = rule;
    const intent = state.intent?.id ?? null;
    if (intent !== this.#intentId) this.#intentAtMs = nowMs;
    this.#intentId = intent;
  }

  noteReport(report: MemberReport, nowMs: number): void {
    const rule = this.#state?.rule;
    if (!rule) return;
    if (report.id === this.#state?.members[this.#self]?.follows && streamsUnder(report, rule.term)) this.#upstreamAtMs = nowMs;
    if (this.#state?.standby) return this.#noteStandby(report, rule.primary, nowMs);
    const leading = leadingServer(report, rule);
    if (!leading) return;
    this.#leadingAtMs = nowMs;
    const known = this.#primaryFlush;
    if (known?.term !== rule.term || leading.flushLsn > known.lsn) this.#primaryFlush = { term: rule.term, lsn: leading.flushLsn };
  }

  /** In a standby cluster a leader does its work while it runs as a replica, and it matters of each whether anything reaches it. */
  #noteStandby({ id, server }: MemberReport, leader: MemberId, nowMs: number): void {
    if (server.kind !== 'replica') return;
    if (id === leader) this.#leadingAtMs = nowMs;
    if (server.receiver?.streaming) this.#streamedAtMs[id] = nowMs;
  }

  /** A look at the source of a standby cluster. */
  noteSource(facts: SourceFacts | null): void {
    this.#source = facts;
  }

  /** A look at the own running server. */
  noteObservation(seen: Observation, nowMs: number): void {
    this.#slots = seen.slots.filter(isUsable).map(slot => slot.name);
    this.#leftoverSlots = seen.kind === 'replica' ? seen.slots.filter(isLeftover).map(slot => slot.name) : [];
    const term = this.#state?.rule?.term;
    if (term === undefined) return;
    if (seen.kind === 'replica') {
      this.#namesInForceSince = null;
      if (seen.followsAs !== this.#followsAs) this.#followsSinceMs = nowMs;
      this.#followsAs = seen.followsAs;
      const name = seen.receiver?.streaming ? parseFollowName(seen.receiver.applicationName) : null;
      const streams = name?.id === this.#self && name.term === term;
      if (streams) this.#repair = NO_REPAIR;
      if (streams && name.upstream === null)
        this.#primaryHeardAtMs = Math.max(this.#primaryHeardAtMs, nowMs - (seen.receiver?.lastMessageAgeMs ?? Number.POSITIVE_INFINITY));
      // What it does not ask for yet is not missing.
      if (streams || isHoldingBack(this.#state?.members[this.#self], seen)) this.#streamedAtMs[this.#self] = nowMs;
      return;
    }
    this.#repair = NO_REPAIR;
    for (const sender of seen.senders) {
      const name = parseStreamName(sender.applicationName);
      if (name?.term === term && sender.state === 'streaming') this.#streamedAtMs[name.id] = nowMs;
    }
    if (!seen.synchronousNamesInForce) this.#namesInForceSince = null;
    else if (this.#namesInForceSince?.names !== seen.synchronousNames) {
      // The flushed position, not the inserted one: whatever was acknowledged under the old names had been flushed here before, and the
      // inserted one may lie past a page header that no replica is ever sent by itself.
      this.#namesInForceSince = { names: seen.synchronousNames, lsn: seen.flushLsn };
    }
  }

  /** The own postmaster began or ended: what was known of that life is void. */
  noteServerLife(): void {
    this.#open = null;
    this.#namesInForceSince = null;
    this.#slots = null;
    this.#leftoverSlots = [];
  }

  /** For how long no message of this term's primary has come. */
  primarySilentMs(nowMs: number): number {
    return nowMs - Math.max(this.#primaryHeardAtMs, this.#ruleAtMs);
  }

  /** The store has confirmed a report that was sent then. */
  noteLease(sentAtMs: number): void {
    this.#leaseSentAtMs = Math.max(this.#leaseSentAtMs, sentAtMs);
  }

  noteOpen(term: number, barrierLsn: bigint, atWallMs: number): void {
    this.#open = { term, barrierLsn, confirmed: false, atWallMs };
  }

  noteConfirmed(term: number): void {
    if (this.#open?.term === term) this.#open = { ...this.#open, confirmed: true };
  }

  noteDrained(intentId: string): void {
    this.#drainedIntent = intentId;
  }

  noteRepair(outcome: 'done' | 'failed', nowMs: number, fault: RepairFault = 'unknown'): void {
    this.#repair = outcome === 'done' ? NO_REPAIR : { attempts: this.#repair.attempts + 1, lastAtMs: nowMs, fault };
  }

  noteReleased(): void {
    this.#isReleased = true;
  }

  /** The term in which this primary is open to routers, or null. */
  get openTerm(): number | null {
    return this.#open?.confirmed ? this.#open.term : null;
  }

  /** All that this primary noted when it started lies before this position; null until it is open. */
  get openLsn(): Lsn | null {
    return this.#open?.confirmed ? this.#open.barrierLsn : null;
  }

  local(promisedTerm: number, busy: boolean): LocalFacts {
    return {
      promisedTerm,
      busy,
      repair: this.#repair,
      startedAtMs: this.#startedAtMs,
      leaseSentAtMs: this.#leaseSentAtMs,
      open: this.#open,
      namesInForceSince: this.#namesInForceSince,
      seen: {
        proposalAtMs: this.#proposalAtMs,
        ruleAtMs: this.#ruleAtMs,
        intentAtMs: this.#intentAtMs,
        leadingAtMs: this.#leadingAtMs,
      },
      streamedAtMs: { ...this.#streamedAtMs },
      cascade: { upstreamAtMs: this.#upstreamAtMs, sinceMs: this.#followsSinceMs },
      primaryFlush: this.#primaryFlush,
      routersDrained: this.#drainedIntent !== null && this.#drainedIntent === this.#intentId,
      slots: this.#slots,
      leftoverSlots: this.#leftoverSlots,
      isReleased: this.#isReleased,
      source: this.#source,
    };
  }
}

/** A slot of ours that has lost its WAL counts as missing: it is made anew. */
function isUsable(slot: Slot): boolean {
  return slot.kind === 'physical' && slot.name.startsWith('understudy_') && slot.walStatus !== 'lost';
}

/** On a replica, a failover slot that is no copy of the primary's is one of its own, from when it was the primary. */
function isLeftover(slot: Slot): boolean {
  return slot.kind === 'logical' && slot.failover && !slot.synced && !slot.active;
}
