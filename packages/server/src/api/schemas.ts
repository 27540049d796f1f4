import { APPLY_DELAY_MS_MAX, ERRORS, type ErrorCode, EVENT_KINDS, type EventKind, TRIGGERS } from '@understudy/core/cluster';
import { z } from 'zod';
import type { OperationRequest } from './facade.ts';
import type * as types from './types.ts';

/** The shapes of all that goes in and out over HTTP; the OpenAPI document is made from these. */

const memberId = z.string().regex(/^[a-z][a-z0-9]{0,15}$/, 'is not the name of a member');
const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
const count = z.number().int().min(0);
const port = z.number().int().min(1).max(65_535);
const milliseconds = z.number().min(0);
const applyDelayMs = z.number().int().min(0).max(APPLY_DELAY_MS_MAX);
const details = z.record(z.string(), z.union([z.string(), z.number()]));

const stageLag = z.strictObject({ bytes: count, ms: milliseconds }).nullable();

const counts = z.record(z.string(), count);
const histogram = z.strictObject({ counts: z.array(count), sumMs: milliseconds });
const traffic = z.strictObject({
  laneReads: count,
  lanes: count,
  retries: counts,
  refusedLogins: count,
  cancels: count,
  sessions: z.strictObject({ active: count, idle: count, inTransaction: count, pinned: count }),
  pools: z.array(
    z.strictObject({ member: memberId, role: z.enum(['primary', 'replica']), connections: count, idle: count, waiting: count }),
  ),
  prepared: z.strictObject({ sent: count, reused: count }),
  answers: z.record(memberId, histogram),
  waits: z.record(z.string(), histogram),
  holds: histogram,
  holdFailures: counts,
});

const member = z.strictObject({
  id: memberId,
  role: z.enum(['primary', 'replica', 'none']),
  state: z.enum(['running', 'starting', 'cloning', 'rewinding', 'stopped', 'unreachable', 'failed']),
  host: z.string(),
  port,
  postmasterPid: count.nullable(),
  timeline: count.nullable(),
  receiveLsn: lsn.nullable(),
  replayLsn: lsn.nullable(),
  lagBytes: count.nullable(),
  lagMs: milliseconds.nullable(),
  lagStages: z.strictObject({ sent: stageLag, written: stageLag, flushed: stageLag, replayed: stageLag }).optional(),
  replayPaused: z.literal(true).optional(),
  version: z.string().optional(),
  installedVersion: z.string().optional(),
  pendingRestart: z.array(z.string()).optional(),
  applyDelayMs: applyDelayMs.optional(),
  cascade: z.strictObject({ upstream: memberId, from: memberId.nullable() }).optional(),
  standbyLeader: z.literal(true).optional(),
  inCohort: z.boolean(),
  detail: z.string().nullable(),
  agentPid: count.nullable(),
});

export const statusSchema: z.ZodType<types.StatusDocument> = z.strictObject({
  schema: z.literal(1),
  cluster: z.string(),
  verdict: z.enum(['healthy', 'degraded', 'no-primary']),
  summary: z.string(),
  term: count,
  primary: memberId.nullable(),
  paused: z.boolean(),
  durability: z.strictObject({ mode: z.enum(['quorum', 'async']), acks: count, cohort: z.array(memberId), protected: z.boolean() }),
  endpoints: z.strictObject({ router: z.string(), http: z.string() }),
  members: z.array(member),
  router: z.strictObject({
    clients: count,
    reads: z.record(memberId, count),
    writes: count,
    held: count,
    pid: count.nullable(),
    traffic: traffic.optional(),
  }),
  standby: z
    .strictObject({
      source: z.string(),
      leader: memberId.nullable(),
      streamsFrom: z.string().nullable(),
      streamsFromRole: z.enum(['primary', 'replica']).nullable(),
      lagBytes: count.nullable(),
      lagMs: milliseconds.nullable(),
      sourceSeenMs: milliseconds.nullable(),
      lastCommitAtMs: z.number().nullable(),
    })
    .optional(),
  alarms: z.array(z.strictObject({ member: memberId, code: z.string(), message: z.string() })),
  supervisorPid: count,
  dataDirectory: z.string(),
});

const event = z.strictObject({
  id: count,
  atMs: z.number(),
  kind: z.enum(Object.keys(EVENT_KINDS) as EventKind[]),
  member: memberId.nullable(),
  term: count.nullable(),
  message: z.string(),
  inputs: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

export const eventsSchema: z.ZodType<types.EventsAnswer> = z.strictObject({ events: z.array(event) });

export const historySchema: z.ZodType<types.HistoryAnswer> = z.strictObject({
  terms: z.array(
    z.strictObject({
      term: count,
      primary: memberId,
      timeline: count,
      trigger: z.enum(TRIGGERS),
      reason: z.string(),
      detectMs: z.number().nullable(),
      raisedAtMs: z.number(),
      electedAtMs: z.number(),
      promotedAtMs: z.number().nullable(),
      establishedAtMs: z.number().nullable(),
      lostBytes: count,
    }),
  ),
});

const lagNow = z.strictObject({ bytes: count.nullable(), ms: milliseconds.nullable() });

export const samplesSchema: z.ZodType<types.SamplesAnswer> = z.strictObject({
  samples: z.array(
    z.strictObject({
      atMs: z.number(),
      primary: memberId.nullable(),
      routerPid: count.nullable(),
      writes: count,
      reads: z.record(memberId, count),
      lag: z.record(memberId, lagNow),
    }),
  ),
});

const routableServer = z.strictObject({
  id: memberId,
  host: z.string(),
  port: count,
  timeline: count,
  weight: z.number(),
  zone: z.string().nullable(),
  applyDelayMs: applyDelayMs.optional(),
});
export const topologySchema: z.ZodType<types.TopologyAnswer> = z.strictObject({
  version: z.string(),
  topology: z.strictObject({
    term: count,
    primary: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('open'), server: routableServer }),
      z.strictObject({ kind: z.literal('unconfirmed'), server: routableServer }),
      z.strictObject({ kind: z.literal('draining'), server: routableServer, drainUntilMs: z.number() }),
      z.strictObject({ kind: z.literal('absent'), reason: z.string(), next: routableServer.optional(), elsewhere: z.string().optional() }),
    ]),
    replicas: z.array(routableServer),
    history: z.array(z.strictObject({ timeline: count, endLsn: z.string() })),
  }),
});
export const urlSchema: z.ZodType<types.UrlAnswer> = z.strictObject({ url: z.string() });

const errorBody = z.strictObject({
  code: z.enum(Object.keys(ERRORS) as ErrorCode[]),
  message: z.string(),
  action: z.string(),
  details,
});

export const errorSchema: z.ZodType<types.ErrorAnswer> = z.strictObject({ error: errorBody });

export const planSchema: z.ZodType<types.PlanAnswer> = z.strictObject({
  allowed: z.boolean(),
  member: memberId.nullable(),
  steps: z.array(z.string()),
  refusal: errorBody.nullable(),
});

export const healthSchema: z.ZodType<types.HealthAnswer> = z.strictObject({
  member: memberId.nullable(),
  role: member.shape.role.nullable(),
  state: member.shape.state.nullable(),
  timeline: count.nullable(),
  lagBytes: count.nullable(),
  message: z.string(),
});

export const resultSchema: z.ZodType<{ message: string; member: string | null; term: number | null }> = z.strictObject({
  message: z.string(),
  member: memberId.nullable(),
  term: count.nullable(),
});

const chapter = z.strictObject({
  id: z.string(),
  title: z.string(),
  idea: z.string(),
  doing: z.string(),
  state: z.enum(['ready', 'running', 'done', 'failed']),
  findings: z.array(z.strictObject({ label: z.string(), value: z.string() })),
  failure: errorBody.nullable(),
  question: z.string(),
  answer: z.string(),
});

export const chapterSchema: z.ZodType<types.TourChapter> = chapter;

export const tourSchema: z.ZodType<types.TourDocument> = z.strictObject({
  state: z.enum(['off', 'starting', 'on', 'stopping']),
  workload: z
    .strictObject({
      readsPerSecond: z.number().min(0),
      writesPerSecond: z.number().min(0),
      reads: count,
      writes: count,
      failed: count,
      lastFailure: z.string().nullable(),
    })
    .nullable(),
  chapters: z.array(chapter),
});

/** How long an operation may take before it answers `timed-out`; it goes on meanwhile. */
const TIMEOUT_MS_MAX = 3_600_000;
const timeoutMs = z.number().int().min(1).max(TIMEOUT_MS_MAX).optional();

export interface SwitchoverBody {
  readonly to?: string | null | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface FailoverBody extends SwitchoverBody {
  readonly acceptDataLoss?: boolean | undefined;
}

export interface PlainBody {
  readonly timeoutMs?: number | undefined;
}

export interface AdditionBody extends PlainBody {
  readonly applyDelayMs?: number | undefined;
  readonly follows?: string | null | undefined;
}

export const additionBody: z.ZodType<AdditionBody> = z.strictObject({
  applyDelayMs: applyDelayMs.optional(),
  follows: memberId.nullish(),
  timeoutMs,
});
export const switchoverBody: z.ZodType<SwitchoverBody> = z.strictObject({ to: memberId.nullish(), timeoutMs });
export const failoverBody: z.ZodType<FailoverBody> = z.strictObject({
  to: memberId.nullish(),
  acceptDataLoss: z.boolean().optional(),
  timeoutMs,
});
export interface PromotionBody extends PlainBody {
  readonly acceptDataLoss?: boolean | undefined;
  readonly split?: boolean | undefined;
}

export interface DemotionBody extends PlainBody {
  readonly standbyOf: string;
}

export const promotionBody: z.ZodType<PromotionBody> = z.strictObject({
  acceptDataLoss: z.boolean().optional(),
  split: z.boolean().optional(),
  timeoutMs,
});
export const demotionBody: z.ZodType<DemotionBody> = z.strictObject({ standbyOf: z.string().min(1).max(4096), timeoutMs });

export interface RestartBody {
  readonly member?: string | null | undefined;
  /** Every server, not only those with settings that wait for it. */
  readonly all?: boolean | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface MoveBody {
  readonly from: string;
  readonly to: string;
  readonly timeoutMs?: number | undefined;
}

export const moveBody: z.ZodType<MoveBody> = z.strictObject({ from: memberId, to: memberId, timeoutMs });
export const restartBody: z.ZodType<RestartBody> = z.strictObject({ member: memberId.nullish(), all: z.boolean().optional(), timeoutMs });
export const plainBody: z.ZodType<PlainBody> = z.strictObject({ timeoutMs });

export const PLANNED_KINDS: readonly [OperationRequest['kind'], ...OperationRequest['kind'][]] = [
  'switchover',
  'failover',
  'add-replica',
  'remove-replica',
  'pause',
  'resume',
  'restart',
  'upgrade',
  'move',
  'release',
  'promote',
  'demote',
  'shutdown',
];

export interface PlanQuery {
  readonly kind: OperationRequest['kind'];
  readonly member?: string | undefined;
  readonly acceptDataLoss?: 'true' | 'false' | undefined;
  readonly all?: 'true' | 'false' | undefined;
  readonly to?: string | undefined;
  readonly applyDelayMs?: number | undefined;
  readonly follows?: string | undefined;
  readonly split?: 'true' | 'false' | undefined;
  readonly standbyOf?: string | undefined;
}

export const planQuery: z.ZodType<PlanQuery> = z.strictObject({
  kind: z.enum(PLANNED_KINDS),
  member: memberId.optional(),
  acceptDataLoss: z.enum(['true', 'false']).optional(),
  all: z.enum(['true', 'false']).optional(),
  to: memberId.optional(),
  applyDelayMs: z.coerce.number().pipe(applyDelayMs).optional(),
  follows: memberId.optional(),
  split: z.enum(['true', 'false']).optional(),
  standbyOf: z.string().max(4096).optional(),
});

export const eventsQuery: z.ZodType<{ after?: number | undefined; limit?: number | undefined }> = z.strictObject({
  after: z.coerce.number().int().min(0).optional(),
  limit: z.coerce.number().int().min(1).optional(),
});
