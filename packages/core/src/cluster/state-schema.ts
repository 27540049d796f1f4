import { z } from 'zod';
import { APPLY_DELAY_MS_MAX } from './member.ts';
import type { AckRule } from './rule.ts';
import { type ClusterState, HISTORY_LIMIT, TRIGGERS } from './state.ts';

const term = z.number().int().positive();
const memberId = z.string().regex(/^[a-z][a-z0-9]{0,15}$/);

const ackRule = { term, primary: memberId, cohort: z.array(memberId), acks: z.number().int().nonnegative() };

/** A rule that asks for more than its cohort would let nobody acknowledge and anybody elect. */
const isPossible = ({ primary, cohort, acks }: AckRule): boolean => !cohort.includes(primary) && acks <= cohort.length;
const IMPOSSIBLE = 'the cohort holds the primary, or fewer members than must acknowledge';

const trigger = z.enum(TRIGGERS);

const schema = z.strictObject({
  schema: z.literal(1),
  name: z.string().min(1).max(63),
  systemId: z.string().regex(/^\d+$/).nullable(),
  proposal: z.strictObject({ term, by: memberId, trigger, atMs: z.number(), noticedMs: z.number() }).nullable(),
  rule: z
    .strictObject({
      ...ackRule,
      timeline: term,
      established: z.boolean(),
      before: z.array(z.strictObject(ackRule).refine(isPossible, IMPOSSIBLE)),
    })
    .refine(isPossible, IMPOSSIBLE)
    .nullable(),
  members: z
    .record(
      memberId,
      z.strictObject({
        id: memberId,
        host: z.string(),
        port: z.number().int().min(1).max(65_535),
        priority: z.number().int().min(0).max(1000),
        nofailover: z.boolean(),
        nosync: z.boolean(),
        applyDelayMs: z.number().int().min(0).max(APPLY_DELAY_MS_MAX).default(0),
        follows: memberId.nullable().default(null),
        zone: z.string().nullable(),
        readWeight: z.number().min(0).max(1000),
        lifecycle: z.enum(['member', 'leaving']),
      }),
    )
    .refine(members => Object.entries(members).every(([id, member]) => member.id === id), 'a member stands under the name of another'),
  intent: z
    .union([
      z.strictObject({ kind: z.literal('switchover'), id: z.string(), to: memberId.nullable(), fromTerm: term, atMs: z.number() }),
      z.strictObject({
        kind: z.literal('failover'),
        id: z.string(),
        to: memberId.nullable(),
        acceptDataLoss: z.boolean(),
        fromTerm: term,
        atMs: z.number(),
      }),
      z.strictObject({
        kind: z.literal('restart'),
        id: z.string(),
        member: memberId,
        startedAtMs: z.number(),
        fromTerm: term,
        atMs: z.number(),
      }),
    ])
    .nullable(),
  restarting: z.record(memberId, z.number()).optional(),
  paused: z.strictObject({ atMs: z.number() }).nullable(),
  durability: z.strictObject({
    mode: z.enum(['quorum', 'async']),
    acks: z.number().int().positive(),
    whenAlone: z.enum(['continue', 'block']),
    acksFrom: z.enum(['any-zone', 'other-zones']).default('any-zone'),
    maxLossBytes: z.number().nonnegative(),
  }),
  history: z
    .array(
      z.strictObject({
        term,
        primary: memberId,
        timeline: term,
        trigger,
        reason: z.string(),
        detectMs: z.number().nullable(),
        raisedAtMs: z.number(),
        electedAtMs: z.number(),
        promotedAtMs: z.number().nullable(),
        establishedAtMs: z.number().nullable(),
        lostBytes: z.number(),
      }),
    )
    .max(HISTORY_LIMIT),
});

/** Checks a state that came from outside. Throws ZodError. */
export function parseClusterState(value: unknown): ClusterState {
  return schema.parse(value);
}
