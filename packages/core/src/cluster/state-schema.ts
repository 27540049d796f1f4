import { z } from 'zod';
import { APPLY_DELAY_MS_MAX } from './member.ts';
import type { AckRule } from './rule.ts';
import { SOURCE_HOSTS_MAX } from './standby.ts';
import { type ClusterState, HISTORY_LIMIT, type Intent, type Trigger } from './state.ts';

const term = z.number().int().positive();
const memberId = z.string().regex(/^[a-z][a-z0-9]{0,15}$/);

const KNOWN_INTENTS: ReadonlySet<string> = new Set(['switchover', 'failover', 'restart'] satisfies readonly Intent['kind'][]);

const ackRule = { term, primary: memberId, cohort: z.array(memberId), acks: z.number().int().nonnegative() };

/** A rule that asks for more than its cohort would let nobody acknowledge and anybody elect. */
const isPossible = ({ primary, cohort, acks }: AckRule): boolean => !cohort.includes(primary) && acks <= cohort.length;
const IMPOSSIBLE = 'the cohort holds the primary, or fewer members than must acknowledge';

/** What began a term is only told to people: a release that knows another cause says it in its own word. */
const trigger = z
  .string()
  .min(1)
  .transform(text => text as Trigger);

/** An order that this release does not know waits for a member that does. */
const unknownIntent = z
  .looseObject({ kind: z.string(), id: z.string(), fromTerm: term, atMs: z.number() })
  .refine(({ kind }) => !KNOWN_INTENTS.has(kind), 'an order of a known kind with wrong contents')
  .transform(intent => intent as unknown as Intent);

const tlsFile = z.string().nullable();
const standby = z.looseObject({
  source: z.looseObject({
    hosts: z
      .array(z.looseObject({ host: z.string().min(1), port: z.number().int().min(1).max(65_535) }))
      .min(1)
      .max(SOURCE_HOSTS_MAX),
    user: z.string().nullable(),
    tls: z
      .looseObject({
        mode: z.enum(['disable', 'require', 'verify-ca', 'verify-full']),
        rootCert: tlsFile,
        cert: tlsFile,
        key: tlsFile,
      })
      .nullable(),
  }),
  sinceMs: z.number(),
});

/**
 * The state may have been written by a later release, while the machines of a cluster are upgraded one after the other. Keys that this one does not know are kept
 * where they stand, and written back with every change. What must not be overlooked is no such key: it raises `schema`, which nobody does before all
 * members have a release that knows it.
 */
const schema = z.looseObject({
  schema: z.literal(1),
  name: z.string().min(1).max(63),
  systemId: z.string().regex(/^\d+$/).nullable(),
  proposal: z.looseObject({ term, by: memberId, trigger, atMs: z.number(), noticedMs: z.number() }).nullable(),
  standby: standby.nullable().optional(),
  rule: z
    .looseObject({
      ...ackRule,
      timeline: term,
      established: z.boolean(),
      before: z.array(z.looseObject(ackRule).refine(isPossible, IMPOSSIBLE)),
    })
    .refine(isPossible, IMPOSSIBLE)
    .nullable(),
  members: z
    .record(
      memberId,
      z.looseObject({
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
      z.looseObject({ kind: z.literal('switchover'), id: z.string(), to: memberId.nullable(), fromTerm: term, atMs: z.number() }),
      z.looseObject({
        kind: z.literal('failover'),
        id: z.string(),
        to: memberId.nullable(),
        acceptDataLoss: z.boolean(),
        fromTerm: term,
        atMs: z.number(),
      }),
      z.looseObject({
        kind: z.literal('restart'),
        id: z.string(),
        member: memberId,
        startedAtMs: z.number(),
        fromTerm: term,
        atMs: z.number(),
      }),
      unknownIntent,
    ])
    .nullable(),
  restarting: z.record(memberId, z.number()).optional(),
  paused: z.looseObject({ atMs: z.number() }).nullable(),
  released: z.looseObject({ atMs: z.number(), done: z.array(memberId) }).optional(),
  durability: z.looseObject({
    mode: z.enum(['quorum', 'async']),
    acks: z.number().int().positive(),
    whenAlone: z.enum(['continue', 'block']),
    acksFrom: z.enum(['any-zone', 'other-zones']).default('any-zone'),
    maxLossBytes: z.number().nonnegative(),
  }),
  history: z
    .array(
      z.looseObject({
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
