import { isMemberId, type MemberId, UnderstudyError } from '@understudy/core/cluster';
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import type { ClusterFacade, OperationRequest, RestartRequest } from './facade.ts';
import { refuseCrossSite, requireToken } from './guard.ts';
import { additionBody, demotionBody, failoverBody, moveBody, plainBody, promotionBody, restartBody, switchoverBody } from './schemas.ts';

/** Bodies are a name and a number or two. */
const BODY_LIMIT_BYTES = 16 * 1024;

/** How long an answer is waited for when the caller does not say. A new replica is a copy of all data, a restart one of every server. */
const TIMEOUT_MS = { operation: 30_000, long: 600_000 } as const;

const LONG: ReadonlySet<OperationRequest['kind']> = new Set(['add-replica', 'restart', 'upgrade', 'move', 'release']);

/** Everything that changes the cluster. All of it needs the token and refuses other sites' pages. */
export function addOperations(app: Hono, facade: ClusterFacade): void {
  const guards = [refuseCrossSite(), requireToken(facade.token), bodyLimit({ maxSize: BODY_LIMIT_BYTES, onError: tooLarge })] as const;
  const perform = async (
    c: Context,
    request: OperationRequest,
    timeoutMs: number | undefined,
    status: 200 | 201 = 200,
  ): Promise<Response> => c.json(await facade.perform(request, timeoutMs ?? defaultTimeoutMs(request)), status);

  app.post('/switchover', ...guards, async c => {
    const { to, timeoutMs } = await bodyOf(c, switchoverBody);
    return await perform(c, { kind: 'switchover', to: existing(facade, to) }, timeoutMs);
  });
  app.post('/failover', ...guards, async c => {
    const { to, acceptDataLoss, timeoutMs } = await bodyOf(c, failoverBody);
    return await perform(c, { kind: 'failover', to: existing(facade, to), acceptDataLoss: acceptDataLoss ?? false }, timeoutMs);
  });
  app.post('/replicas', ...guards, async c => {
    const { applyDelayMs, follows, timeoutMs } = await bodyOf(c, additionBody);
    return await perform(c, { kind: 'add-replica', applyDelayMs, follows: existing(facade, follows) }, timeoutMs, 201);
  });
  app.delete('/replicas/:id', ...guards, async c => {
    const { timeoutMs } = await bodyOf(c, plainBody);
    return await perform(c, { kind: 'remove-replica', id: existing(facade, c.req.param('id'))! }, timeoutMs);
  });
  app.post('/promote', ...guards, async c => {
    const { acceptDataLoss = false, split = false, timeoutMs } = await bodyOf(c, promotionBody);
    return await perform(c, { kind: 'promote', acceptDataLoss, split }, timeoutMs);
  });
  app.post('/demote', ...guards, async c => {
    const { standbyOf, timeoutMs } = await bodyOf(c, demotionBody);
    return await perform(c, { kind: 'demote', standbyOf }, timeoutMs);
  });
  app.post('/restart', ...guards, async c => {
    const { member, all, timeoutMs } = await bodyOf(c, restartBody);
    return await perform(c, restartRequest(existing(facade, member), all === true), timeoutMs);
  });
  app.post('/move', ...guards, async c => {
    const { from, to, timeoutMs } = await bodyOf(c, moveBody);
    return await perform(c, { kind: 'move', from, to }, timeoutMs);
  });
  for (const kind of ['pause', 'resume', 'upgrade', 'release', 'shutdown'] as const) {
    app.post(`/${kind}`, ...guards, async c => {
      const { timeoutMs } = await bodyOf(c, plainBody);
      return await perform(c, { kind }, timeoutMs);
    });
  }
}

/** Throws `bad-request`. */
export function restartRequest(id: MemberId | null, all: boolean): RestartRequest {
  if (id !== null && all) throw new UnderstudyError('bad-request', { why: 'name a member, or say all' });
  return { kind: 'restart', which: id !== null ? { kind: 'member', id } : { kind: all ? 'all' : 'pending' } };
}

function defaultTimeoutMs(request: OperationRequest): number {
  return LONG.has(request.kind) ? TIMEOUT_MS.long : TIMEOUT_MS.operation;
}

function tooLarge(): never {
  throw new UnderstudyError('bad-request', { why: `the body is larger than ${BODY_LIMIT_BYTES} bytes` });
}

/** An empty body counts as an empty object. Throws `bad-request`. */
async function bodyOf<T>(c: Context, schema: z.ZodType<T>): Promise<T> {
  const text = await c.req.text();
  let value: unknown = {};
  try {
    if (text.trim() !== '') value = JSON.parse(text);
  } catch {
    throw new UnderstudyError('bad-request', { why: 'the body is not JSON' });
  }
  return check(schema, value);
}

/** Throws `bad-request` with the first thing that is wrong. */
export function check<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new UnderstudyError('bad-request', { why: `${issue.path.join('.') || 'it'}: ${issue.message}` });
}

/** The member of that name; null when none was named. Throws `unknown-member`. */
export function existing(facade: ClusterFacade, id: string | null | undefined): MemberId | null {
  if (id === null || id === undefined) return null;
  const members = facade.status().members.map(member => member.id);
  if (!isMemberId(id) || !members.includes(id)) throw new UnderstudyError('unknown-member', { id, members: members.join(', ') });
  return id;
}
