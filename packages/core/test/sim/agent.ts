import type { ClusterState, MemberId, MemberReport, Operation } from '../../src/cluster/index.ts';
import { parseStreamName } from '../../src/cluster/index.ts';
import type { Decision, HeardMember, LocalFacts, View } from '../../src/failover/index.ts';
import { hear, leadingServer, streamsUnder } from '../../src/failover/index.ts';
import { Hands } from './hands.ts';
import { SimLookout } from './lookout.ts';
import type { SimPostgres } from './postgres.ts';
import type { Snapshot, StoredReport } from './store.ts';
import type { World } from './world.ts';

/** One member's agent: observe, decide, act. Its memory dies with it; the promise and the note of a promotion are on disk. */
export class SimAgent {
  readonly id: MemberId;
  readonly world: World;
  readonly postgres: SimPostgres;
  readonly hands: Hands;
  readonly lookout: SimLookout;
  alive = false;
  frozen = false;
  life = 0;
  /** On disk. */
  durablePromise = 0;
  promotionNote = false;
  left = false;
  /** The clock: started anywhere, and runs a little fast or slow. */
  readonly #clockOffset: number;
  readonly #clockRate: number;
  wallJumpMs = 0;
  /** In memory. */
  promised = 0;
  revision = 0;
  state: ClusterState | null = null;
  heard: Record<MemberId, HeardMember> = {};
  #puts = new Map<MemberId, number>();
  open: LocalFacts['open'] = null;
  openIndex = 0;
  openLife = -1;
  namesInForceSince: LocalFacts['namesInForceSince'] = null;
  operation: Operation | null = null;
  repair: LocalFacts['repair'] = { attempts: 0, lastAtMs: 0, fault: 'unknown' };
  startedAtMs = 0;
  leaseSentAtMs = 0;
  storeHeardAtMs = 0;
  storeBackAtMs = 0;
  seen: { proposalAtMs: number; ruleAtMs: number; intentAtMs: number; leadingAtMs: number } = {
    proposalAtMs: 0,
    ruleAtMs: 0,
    intentAtMs: 0,
    leadingAtMs: 0,
  };
  streamedAtMs: Record<MemberId, number> = {};
  cascade = { upstreamAtMs: 0, sinceMs: 0 };
  #followsAs: string | null = null;
  primaryFlush: LocalFacts['primaryFlush'] = null;
  slots: readonly string[] = [];
  alarms: readonly string[] = [];
  #sequence = 0;
  #published = '';
  #publishedAtMs = -1e9;
  #stepPlanned = false;
  /** The highest term that this member has answered, as the store may have heard it. */
  answeredTerm = 0;
  publishedPromise = 0;
  thawedAtMs = -1e9;

  constructor(world: World, postgres: SimPostgres) {
    this.world = world;
    this.postgres = postgres;
    this.id = postgres.id;
    this.#clockOffset = world.random.between(0, 1e6);
    this.#clockRate = world.random.between(0.99, 1.01);
    this.hands = new Hands(this);
    this.lookout = new SimLookout(this);
  }

  get mono(): number {
    return this.#clockOffset + this.world.now * this.#clockRate;
  }

  get wallMs(): number {
    return 1.7e12 + this.world.now + this.wallJumpMs;
  }

  get well(): boolean {
    return this.alive && !this.frozen;
  }

  /** A new process: it reads its promise, and settles what its predecessor left half done before it says anything. */
  start(): void {
    if (this.alive || this.left) return;
    this.alive = true;
    this.frozen = false;
    this.life++;
    this.promised = this.durablePromise;
    this.revision = 0;
    this.state = null;
    this.heard = {};
    this.#puts = new Map();
    this.open = null;
    this.openLife = -1;
    this.namesInForceSince = null;
    this.operation = null;
    this.repair = { attempts: 0, lastAtMs: 0, fault: 'unknown' };
    this.startedAtMs = this.mono;
    this.leaseSentAtMs = this.mono - 1e9;
    this.storeHeardAtMs = this.startedAtMs;
    this.storeBackAtMs = this.startedAtMs;
    this.streamedAtMs = {};
    this.cascade = { upstreamAtMs: this.mono, sinceMs: this.mono };
    this.#followsAs = null;
    this.primaryFlush = null;
    this.alarms = [];
    this.#published = '';
    this.#publishedAtMs = -1e9;
    this.hands.reset();
    this.lookout.reset();
    if (this.promotionNote) this.postgres.kill(true);
    this.promotionNote = false;
    const { life } = this;
    this.world.store.request(
      this.id,
      () => this.world.store.snapshot(),
      snapshot => this.life === life && this.alive && this.#take(snapshot, this.mono),
    );
    this.#tick(life);
  }

  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.life++;
    this.hands.cutOff();
  }

  #tick(life: number): void {
    if (this.life !== life || !this.alive) return;
    this.step();
    this.world.events.after(this.world.random.between(60, 100), () => this.#tick(life));
  }

  /** Something happened: look again soon. */
  poke(): void {
    if (this.#stepPlanned || !this.well) return;
    this.#stepPlanned = true;
    this.world.events.after(this.world.random.between(1, 4), () => {
      this.#stepPlanned = false;
      this.step();
    });
  }

  hearState(revision: number, state: ClusterState): void {
    if (!this.well || revision <= this.revision) return;
    const before = this.state;
    this.revision = revision;
    this.state = state;
    const at = this.mono;
    if (before === null) this.seen = { proposalAtMs: at, ruleAtMs: at, intentAtMs: at, leadingAtMs: at };
    else {
      if (before.proposal?.term !== state.proposal?.term) this.seen.proposalAtMs = at;
      if (before.rule?.term !== state.rule?.term) this.seen.ruleAtMs = at;
      if (before.intent?.id !== state.intent?.id) this.seen.intentAtMs = at;
    }
    this.hands.heardRevision(revision);
    this.poke();
  }

  hearReport(stored: StoredReport): void {
    const { report } = stored;
    if (!this.well || stored.put <= (this.#puts.get(report.id) ?? 0)) return;
    this.#puts.set(report.id, stored.put);
    const before = this.heard[report.id]?.report;
    const { leaseMs } = this.world.config;
    this.heard[report.id] = hear(this.heard[report.id], report, this.mono, { leaseMs, storeBackAtMs: this.storeBackAtMs });
    const rule = this.state?.rule;
    if (rule) {
      if (report.id === this.state?.members[this.id]?.follows && streamsUnder(report, rule.term)) this.cascade.upstreamAtMs = this.mono;
      const server = leadingServer(report, rule);
      if (server !== null) {
        this.seen.leadingAtMs = this.mono;
        if (this.primaryFlush === null || this.primaryFlush.term !== rule.term || server.flushLsn > this.primaryFlush.lsn)
          this.primaryFlush = { term: rule.term, lsn: server.flushLsn };
      }
    }
    if (before === undefined || keyOf(before) !== keyOf(report)) this.poke();
  }

  #take(snapshot: Snapshot, sentAtMs: number): void {
    if (!this.well) return;
    if (sentAtMs - this.storeHeardAtMs > this.world.config.leaseMs) this.storeBackAtMs = this.mono;
    this.hearState(snapshot.revision, snapshot.state);
    for (const stored of snapshot.reports) if (stored.report.id !== this.id) this.hearReport(stored);
    this.storeHeardAtMs = Math.max(this.storeHeardAtMs, sentAtMs);
  }

  step(): void {
    if (!this.well || this.left) return;
    this.#fenceUnknown();
    let report: MemberReport | null = null;
    if (this.state !== null) {
      this.#noteFacts();
      const seen = this.#view();
      this.lookout.look(seen);
      const view = this.world.mutation.view(seen, this);
      const decisions = this.world.mutation.decisions(this.world.decide(view, this.mono), view, this);
      this.world.checks.decided(view, decisions);
      this.alarms = decisions.flatMap(({ action }) => (action.kind === 'alarm' ? [action.code] : []));
      if (!this.#perform(decisions)) report = this.heard[this.id]!.report;
    }
    this.#publish(report ?? this.#report());
  }

  /** A primary without synchronous names that this agent found running, and a store that does not say who leads: the lease is over. */
  #fenceUnknown(): void {
    const blind = this.state === null && this.mono - this.startedAtMs > this.world.config.leaseMs;
    if (blind && this.postgres.leads && this.postgres.namesText === '') this.postgres.kill(true);
  }

  /** The first decision that is not under way already. */
  #perform(decisions: readonly Decision[]): boolean {
    return decisions.some(decision => decision.action.kind !== 'alarm' && this.hands.perform(decision));
  }

  #noteFacts(): void {
    const { postgres, state } = this;
    const rule = state?.rule;
    if (this.openLife !== postgres.life) this.open = null;
    if (this.namesInForceSince !== null && this.openLife !== postgres.life) this.namesInForceSince = null;
    this.openLife = postgres.life;
    this.hands.notice();
    if (postgres.followsAs !== this.#followsAs) this.cascade.sinceMs = this.mono;
    this.#followsAs = postgres.followsAs;
    if (!rule) return;
    if (postgres.leads) {
      for (const [id, connection] of postgres.connections)
        if (this.world.now - connection.repliedAtMs < 800 && parseStreamName(connection.applicationName)?.term === rule.term)
          this.streamedAtMs[id] = this.mono;
    } else if (postgres.receiver !== null) {
      this.streamedAtMs[this.id] = this.mono;
      if (parseStreamName(postgres.receiver.applicationName)?.term === rule.term)
        this.lookout.heardAtMs = this.mono - (this.world.now - postgres.lastMessageAtMs);
    }
  }

  #report(): MemberReport {
    return this.world.mutation.report(
      {
        id: this.id,
        sequence: ++this.#sequence,
        promisedTerm: this.promised,
        systemId: this.postgres.systemId,
        server: this.world.mutation.observe(this.postgres),
        operation: this.operation,
        postmasterPid: null,
        serverVersion: null,
        openTerm: this.open?.confirmed ? this.open.term : null,
        alarms: this.alarms,
        sight: this.lookout.sight,
        unansweredMs: this.mono - this.storeHeardAtMs,
      },
      this,
    );
  }

  #view(): View {
    const report = this.#report();
    this.heard[this.id] = { report, heardAtMs: this.mono };
    const local: LocalFacts = {
      promisedTerm: this.promised,
      busy: this.operation !== null,
      repair: this.repair,
      startedAtMs: this.startedAtMs,
      leaseSentAtMs: this.leaseSentAtMs,
      open: this.open,
      namesInForceSince: this.namesInForceSince,
      seen: this.seen,
      streamedAtMs: this.streamedAtMs,
      cascade: this.cascade,
      primaryFlush: this.primaryFlush,
      routersDrained: this.world.routersDrained,
      slots: this.slots,
      leftoverSlots: [],
      isReleased: false,
    };
    return {
      self: this.id,
      config: this.world.config,
      state: this.state!,
      members: this.heard,
      local,
      storeHeardAtMs: this.storeHeardAtMs,
      wallMs: this.wallMs,
    };
  }

  /** Every heartbeat, and at once when something changed. The answer shows the whole store. */
  #publish(report: MemberReport): void {
    const key = keyOf(report);
    if (key === this.#published && this.mono - this.#publishedAtMs < this.world.config.heartbeatMs) return;
    this.#published = key;
    this.#publishedAtMs = this.mono;
    const sentAtMs = this.mono;
    const { life } = this;
    this.world.checks.published(this, report);
    this.world.store.request(
      this.id,
      () => this.world.store.put(report),
      snapshot => {
        if (this.life !== life || !this.well) return;
        this.leaseSentAtMs = this.world.mutation.leaseSent(this, Math.max(this.leaseSentAtMs, sentAtMs));
        this.#take(snapshot, sentAtMs);
      },
    );
  }
}

/** What makes a report worth a message of its own. */
function keyOf(report: MemberReport): string {
  const { server, sight } = report;
  const seen = sight ? `${sight.reached.join()}/${sight.lost.join()}` : '';
  const more =
    server.kind === 'replica'
      ? `${server.followsAs}${server.receiver === null}${server.walEnd === null}`
      : server.kind === 'stopped'
        ? `${server.crashed}`
        : server.kind === 'primary'
          ? `${server.timeline}`
          : '';
  return `${report.promisedTerm}|${server.kind}|${more}|${report.openTerm}|${report.operation?.kind}|${seen}`;
}
