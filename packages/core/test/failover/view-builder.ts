import type {
  ClusterState,
  MemberId,
  MemberReport,
  MemberSpec,
  PrimaryServer,
  ReplicaServer,
  Rule,
  ServerReport,
} from '../../src/cluster/index.ts';
import { DEFAULT_FAILOVER, streamName } from '../../src/cluster/index.ts';
import type { LocalFacts, View } from '../../src/failover/index.ts';
import { synchronousNames } from '../../src/failover/index.ts';

export const NOW = 100_000;

export const RULE: Rule = { term: 7, primary: 'n1', cohort: ['n2', 'n3'], acks: 1, timeline: 4, established: true, before: [] };

export const HISTORY = [{ timeline: 2, endLsn: 500n }];

export function spec(id: MemberId, change: Partial<MemberSpec> = {}): MemberSpec {
  return {
    id,
    host: `${id}.test`,
    port: 5432,
    priority: 100,
    nofailover: false,
    nosync: false,
    zone: null,
    applyDelayMs: 0,
    follows: null,
    readWeight: 100,
    lifecycle: 'member',
    ...change,
  };
}

export function stateOf(change: Partial<ClusterState> = {}): ClusterState {
  return {
    schema: 1,
    name: 'main',
    systemId: '42',
    proposal: { term: 7, by: 'n1', trigger: 'primary-lost', atMs: 0, noticedMs: 0 },
    rule: RULE,
    members: { n1: spec('n1'), n2: spec('n2'), n3: spec('n3') },
    intent: null,
    paused: null,
    durability: { mode: 'quorum', acks: 1, whenAlone: 'continue', acksFrom: 'any-zone', maxLossBytes: 1000 },
    history: [],
    ...change,
  };
}

export function primary(change: Partial<PrimaryServer> = {}): PrimaryServer {
  return {
    kind: 'primary',
    timeline: 4,
    history: HISTORY,
    insertLsn: 1000n,
    flushLsn: 1000n,
    senders: ['n2', 'n3'].map(id => ({
      applicationName: streamName(id, 7),
      state: 'streaming',
      sentLsn: 1000n,
      writeLsn: 1000n,
      flushLsn: 1000n,
      replayLsn: 1000n,
      syncPriority: 1,
    })),
    synchronousNames: synchronousNames(RULE, 7),
    synchronousNamesInForce: true,
    ...change,
  };
}

export function replica(change: Partial<ReplicaServer> = {}): ReplicaServer {
  return {
    kind: 'replica',
    timeline: 4,
    history: HISTORY,
    receiveLsn: 1000n,
    replayLsn: 1000n,
    walEnd: { timeline: 4, lsn: 1000n, history: HISTORY },
    receiver: null,
    replayPaused: false,
    followsAs: null,
    ...change,
  };
}

export function streaming(id: MemberId, change: Partial<ReplicaServer> = {}): ReplicaServer {
  const applicationName = streamName(id, 7);
  return replica({ followsAs: applicationName, receiver: { applicationName, streaming: true, lastMessageAgeMs: 100 }, ...change });
}

export function report(id: MemberId, server: ServerReport, change: Partial<MemberReport> = {}): MemberReport {
  return {
    id,
    sequence: 1,
    promisedTerm: 7,
    systemId: '42',
    server,
    operation: null,
    postmasterPid: 1,
    serverVersion: 180000,
    openTerm: null,
    alarms: [],
    ...change,
  };
}

const LOCAL: LocalFacts = {
  promisedTerm: 7,
  busy: false,
  repair: { attempts: 0, lastAtMs: 0, fault: 'unknown' },
  startedAtMs: 0,
  leaseSentAtMs: NOW,
  open: { term: 7, barrierLsn: 900n, confirmed: true, atWallMs: 0 },
  namesInForceSince: null,
  seen: { proposalAtMs: 50_000, ruleAtMs: 50_000, intentAtMs: 50_000, leadingAtMs: NOW },
  streamedAtMs: { n2: NOW, n3: NOW },
  cascade: { upstreamAtMs: NOW, sinceMs: 50_000 },
  primaryFlush: null,
  routersDrained: false,
  slots: null,
  leftoverSlots: [],
  isReleased: false,
};

export interface ViewParts {
  readonly self: MemberId;
  readonly reports: readonly MemberReport[];
  readonly state?: Partial<ClusterState>;
  readonly local?: Partial<LocalFacts> | undefined;
  /** Members that have been silent for so long. */
  readonly silentMs?: Readonly<Record<MemberId, number>>;
  readonly storeHeardAtMs?: number;
}

export function viewOf({ self, reports, state = {}, local = {}, silentMs = {}, storeHeardAtMs = NOW }: ViewParts): View {
  const members = Object.fromEntries(reports.map(each => [each.id, { report: each, heardAtMs: NOW - (silentMs[each.id] ?? 0) }]));
  const promisedTerm = reports.find(each => each.id === self)?.promisedTerm ?? 7;
  return {
    self,
    config: DEFAULT_FAILOVER,
    state: stateOf(state),
    members,
    local: { ...LOCAL, promisedTerm, ...local },
    storeHeardAtMs,
    wallMs: 1_700_000_000_000,
  };
}

/** A healthy cluster of three, with these servers in place of the healthy ones. */
export function healthy(servers: Readonly<Record<MemberId, ServerReport>> = {}): readonly MemberReport[] {
  return [
    report('n1', servers['n1'] ?? primary(), { openTerm: 7 }),
    report('n2', servers['n2'] ?? streaming('n2')),
    report('n3', servers['n3'] ?? streaming('n3')),
  ];
}
