import { type MemberId, parseBytes, UnderstudyError } from '@understudy/core/cluster';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { asUnderstudyError, errorAnswer, statusOf } from './errors.ts';
import { EVENTS_LIMIT_DEFAULT, EVENTS_LIMIT_MAX, eventStream } from './events.ts';
import type { ClusterFacade, OperationRequest } from './facade.ts';
import { FailoverMeter } from './failover-meter.ts';
import { refuseCrossSite, refuseForeignHosts, requireToken } from './guard.ts';
import { checkHealth, HEALTH_CHECKS, type HealthPath } from './health.ts';
import { METRICS_CONTENT_TYPE, metricsText } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { addOperations, check, existing, restartRequest } from './operations.ts';
import { addPage } from './page.ts';
import { planOperation } from './plan.ts';
import { withoutPassword } from './redact.ts';
import { eventsQuery, type PlanQuery, planQuery } from './schemas.ts';
import { statementStream } from './statements.ts';
import { addTopology } from './topology.ts';
import { addTour } from './tour.ts';
import type { StatusDocument } from './types.ts';

export interface ApiOptions {
  /** The address that will be listened on; on loopback the Host header is checked against DNS rebinding. */
  readonly host: string;
  /** The built dashboard (its index.html); null or missing: a plain page. */
  readonly dashboardDirectory: string | null;
  readonly version: string;
  /** The member of this machine, for which health checks ask when they name none; not given: any member of the cluster. */
  readonly member?: MemberId;
  /** Silence on an event stream after which a comment is sent. */
  readonly keepAliveMs?: number;
}

/** The HTTP door of a cluster as a function from request to answer; `serveApi` puts it on a port. */
export function createApi(facade: ClusterFacade, options: ApiOptions): Hono {
  const app = new Hono({ strict: false });
  app.use(secureHeaders({ strictTransportSecurity: false, contentSecurityPolicy: PAGE_POLICY }));
  app.use(refuseForeignHosts(options.host));
  app.use(keepOutOfCaches);
  app.onError((error, c) => {
    const known = asUnderstudyError(error);
    return c.json(errorAnswer(known), statusOf(known.code));
  });
  app.notFound(c => c.json(errorAnswer(new UnderstudyError('no-such-path', { path: c.req.path })), 404));

  addHealth(app, facade, options.member);
  addReading(app, facade, options);
  addTopology(app, facade);
  addOperations(app, facade);
  addTour(app, facade);
  addPage(app, facade, options.dashboardDirectory);
  return app;
}

/** A state of the cluster that a cache between us kept would be a lie. */
const keepOutOfCaches: MiddlewareHandler = async (c, next) => {
  await next();
  if (c.res.headers.get('Content-Type')?.startsWith('application/json')) c.header('Cache-Control', 'no-store');
};

/** The page loads nothing from anywhere else. Inline styles: charts set the sizes of their elements. */
const PAGE_POLICY = {
  defaultSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  frameAncestors: ["'none'"],
  baseUri: ["'none'"],
  formAction: ["'self'"],
};

/** HAProxy asks with OPTIONS or HEAD as well as GET; all three are answered by the status code. */
const HEALTH_METHODS = ['GET', 'OPTIONS'];

function addHealth(app: Hono, facade: ClusterFacade, own: MemberId | undefined): void {
  const answer = (c: Context, path: HealthPath, id: string | undefined): Response => {
    const member = id === undefined && own !== undefined ? own : existing(facade, id);
    const { ok, answer } = checkHealth(facade.status(), { path, member, maxLagBytes: lagOf(c) });
    return c.req.method === 'OPTIONS' ? c.body(null, ok ? 200 : 503) : c.json(answer, ok ? 200 : 503);
  };
  for (const path of Object.keys(HEALTH_CHECKS) as HealthPath[]) {
    app.on(HEALTH_METHODS, `/${path}`, c => answer(c, path, c.req.query('member')));
    app.on(HEALTH_METHODS, `/members/:id/${path}`, c => answer(c, path, c.req.param('id')));
  }
}

function lagOf(c: Context): number | null {
  const text = c.req.query('lag');
  if (text === undefined) return null;
  const bytes = parseBytes(text);
  if (bytes === null) throw new UnderstudyError('bad-request', { why: `lag ${text} is not a size such as 10MB` });
  return bytes;
}

/** Proxies in between close a connection that is silent for longer. */
const KEEP_ALIVE_MS = 15_000;

function addReading(app: Hono, facade: ClusterFacade, options: ApiOptions): void {
  app.get('/status', c => c.json(publicStatus(facade.status())));
  // Texts without literals still say what an application does.
  app.get('/statements', refuseCrossSite(), requireToken(facade.token), c =>
    c.body(statementStream(facade, options.keepAliveMs ?? KEEP_ALIVE_MS), 200, STREAM_HEADERS),
  );
  app.get('/samples', c => c.json({ samples: facade.samples() }));
  app.get('/history', c => c.json({ terms: facade.state().history }));
  app.get('/events', c => events(c, facade, options.keepAliveMs ?? KEEP_ALIVE_MS));
  app.get('/plan', c => {
    const query = check(planQuery, c.req.query());
    // One that has moved is no member any more.
    const member = query.kind === 'move' ? (query.member ?? null) : existing(facade, query.member);
    const request = plannedRequest(member, query);
    return c.json(planOperation(facade, request));
  });
  const meter = new FailoverMeter(facade);
  app.get('/metrics', async c => {
    const inputs = { status: facade.status(), history: facade.state().history, meter, version: options.version };
    const body = await metricsText(inputs);
    return c.body(body, 200, { 'Content-Type': METRICS_CONTENT_TYPE });
  });
  app.get('/url', refuseCrossSite(), requireToken(facade.token), c => {
    const role = c.req.query('role') ?? 'router';
    if (role !== 'router' && role !== 'primary' && role !== 'replica') {
      throw new UnderstudyError('bad-request', { why: `role ${role} is none of router, primary, replica` });
    }
    return c.json({ url: facade.url(role) });
  });
  app.get('/openapi.json', c => c.json(openApiDocument(options.version)));
}

function publicStatus(status: StatusDocument): StatusDocument {
  return { ...status, endpoints: { ...status.endpoints, router: withoutPassword(status.endpoints.router) } };
}

function plannedRequest(
  member: string | null,
  { kind, acceptDataLoss, all, to, applyDelayMs, follows, split, standbyOf }: PlanQuery,
): OperationRequest {
  switch (kind) {
    case 'switchover':
      return { kind, to: member };
    case 'failover':
      return { kind, to: member, acceptDataLoss: acceptDataLoss === 'true' };
    case 'remove-replica':
      if (member === null) throw new UnderstudyError('bad-request', { why: 'member is missing' });
      return { kind, id: member };
    case 'restart':
      return restartRequest(member, all === 'true');
    case 'move':
      if (member === null || to === undefined) throw new UnderstudyError('bad-request', { why: 'member or to is missing' });
      return { kind, from: member, to };
    case 'promote':
      return { kind, acceptDataLoss: acceptDataLoss === 'true', split: split === 'true' };
    case 'demote':
      if (standbyOf === undefined) throw new UnderstudyError('bad-request', { why: 'standbyOf is missing' });
      return { kind, standbyOf };
    case 'add-replica':
      return { kind, applyDelayMs, follows: follows ?? null };
    case 'pause':
    case 'resume':
    case 'upgrade':
    case 'release':
    case 'shutdown':
      return { kind };
    default:
      return kind satisfies never;
  }
}

function events(c: Context, facade: ClusterFacade, keepAliveMs: number): Response {
  const { after, limit = EVENTS_LIMIT_DEFAULT } = check(eventsQuery, c.req.query());
  const lastEventId = Number(c.req.header('last-event-id') ?? Number.NaN);
  const afterId = Number.isSafeInteger(lastEventId) ? lastEventId : (after ?? null);
  const bounded = Math.min(limit, EVENTS_LIMIT_MAX);
  if (!(c.req.header('accept') ?? '').includes('text/event-stream')) {
    return c.json({ events: facade.eventsAfter(afterId ?? 0, bounded) });
  }
  return c.body(eventStream(facade, { afterId, limit: bounded, keepAliveMs }), 200, STREAM_HEADERS);
}

const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-cache, no-transform',
  'X-Accel-Buffering': 'no',
};
