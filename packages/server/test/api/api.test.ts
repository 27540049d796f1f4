import { EVENT_KINDS, UnderstudyError } from '@understudy/core/cluster';
import { newHistogram, observe, type RouterTraffic } from '@understudy/core/routing';
import { describe, expect, it } from 'vitest';
import { createApi, serveApi, type StatusDocument } from '../../src/api/index.ts';
import { METRICS } from '../../src/api/metrics-catalogue.ts';
import { ANSWER_SCHEMAS } from '../../src/api/openapi.ts';
import type { PlanAnswer, TopologyAnswer } from '../../src/api/types.ts';
import { member, status } from '../support/status.ts';
import { RecordedCluster } from './facade.ts';

const TOKEN = { authorization: 'Bearer right-token' };

const hold = newHistogram();
for (const ms of [300, 400]) observe(hold, ms);
const quick = newHistogram();
observe(quick, 0.7);

/** All that a router counts beyond reads and writes. */
const TRAFFIC: RouterTraffic = {
  laneReads: 90,
  lanes: 2,
  retries: { '25006': 4 },
  refusedLogins: 5,
  cancels: 6,
  sessions: { active: 1, idle: 1, inTransaction: 1, pinned: 1 },
  pools: [{ member: 'n2', role: 'replica', connections: 5, idle: 2, waiting: 7 }],
  prepared: { sent: 40, reused: 60 },
  answers: { n2: quick },
  waits: { 'replicas-stale': quick },
  holds: hold,
  holdFailures: { 'timed-out': 1, full: 0 },
};

function setup(host = '127.0.0.1') {
  const cluster = new RecordedCluster();
  const app = createApi(cluster, { host, dashboardDirectory: null, version: '1.2.3', keepAliveMs: 20 });
  const post = async (path: string, body: unknown, headers: Record<string, string> = TOKEN, method = 'POST') =>
    await app.request(path, {
      method,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: { host: '127.0.0.1:8008', ...headers },
    });
  return { cluster, app, post };
}

async function errorOf(answer: Response): Promise<{ status: number; code: string; message: string; action: string }> {
  const { error } = (await answer.json()) as { error: { code: string; message: string; action: string } };
  return { ...error, status: answer.status };
}

describe('reading', () => {
  it('shows the status without any password', async () => {
    const { app } = setup();
    const answer = await app.request('/status');
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const text = await answer.text();
    expect(text).not.toContain('secret');
    expect((JSON.parse(text) as StatusDocument).endpoints.router).toBe('postgres://postgres@127.0.0.1:5432/postgres');
  });

  it('gives the password to the token only', async () => {
    const { app } = setup();
    expect(await errorOf(await app.request('/url'))).toMatchObject({ status: 401, code: 'bad-token' });
    expect(await errorOf(await app.request('/url', { headers: { authorization: 'Bearer wrong' } }))).toMatchObject({ status: 401 });
    expect(await (await app.request('/url?role=replica', { headers: TOKEN })).json()).toEqual({
      url: 'postgres://postgres:secret@127.0.0.1:5432/postgres?role=replica',
    });
    expect(await errorOf(await app.request('/url?role=king', { headers: TOKEN }))).toMatchObject({ status: 400, code: 'bad-request' });
  });

  it('tells routers the topology, and the next one to who waits', async () => {
    const { app, cluster } = setup();
    const first = (await (await app.request('/topology')).json()) as TopologyAnswer;
    expect(first.topology).toMatchObject({ term: 1, primary: { kind: 'absent' }, history: [{ timeline: 1, endLsn: '0/3000060' }] });
    const waiting = app.request(`/topology?wait=60000&after=${encodeURIComponent(first.version)}`);
    const server = { id: 'n2', host: '127.0.0.1', port: 5433, timeline: 2, weight: 100, zone: null };
    cluster.known = { ...cluster.known, term: 2, primary: { kind: 'open', server } };
    const next = (await (await waiting).json()) as TopologyAnswer;
    expect(next.topology).toMatchObject({ term: 2, primary: { kind: 'open', server } });
    expect(next.version).not.toBe(first.version);
    // Whoever knows less than is known is not kept waiting.
    expect(await (await app.request('/topology?wait=60000&after=old')).json()).toEqual(next);
  });

  it('serves a plain page that escapes what it shows', async () => {
    const { app, cluster } = setup();
    cluster.document = status({ summary: '<script>alert(1)</script>' });
    const page = await (await app.request('/')).text();
    expect(page).toContain('main: healthy');
    expect(page).not.toContain('<script>');
  });

  it('says what is not there', async () => {
    const { app } = setup();
    expect(await errorOf(await app.request('/nowhere'))).toMatchObject({
      status: 404,
      code: 'no-such-path',
      message: 'There is nothing at /nowhere.',
    });
  });

  it('turns a defect into an error that says so', async () => {
    const { app, cluster } = setup();
    cluster.status = () => {
      throw new TypeError('x is undefined');
    };
    expect(await errorOf(await app.request('/status'))).toMatchObject({ status: 500, code: 'internal-error' });
  });
});

describe('operations', () => {
  it.each([
    ['/switchover', { to: 'n2' }, { kind: 'switchover', to: 'n2' }, 30_000],
    ['/switchover', '', { kind: 'switchover', to: null }, 30_000],
    ['/failover', { acceptDataLoss: true, timeoutMs: 5 }, { kind: 'failover', to: null, acceptDataLoss: true }, 5],
    ['/promote', {}, { kind: 'promote', acceptDataLoss: false, split: false }, 30_000],
    ['/promote', { split: true }, { kind: 'promote', acceptDataLoss: false, split: true }, 30_000],
    ['/demote', { standbyOf: 'host=a' }, { kind: 'demote', standbyOf: 'host=a' }, 30_000],
    ['/replicas', {}, { kind: 'add-replica', follows: null }, 600_000],
    ['/replicas', { follows: 'n2' }, { kind: 'add-replica', follows: 'n2' }, 600_000],
    ['/replicas', { applyDelayMs: 60_000 }, { kind: 'add-replica', applyDelayMs: 60_000, follows: null }, 600_000],
    ['/pause', {}, { kind: 'pause' }, 30_000],
    ['/resume', {}, { kind: 'resume' }, 30_000],
    ['/shutdown', {}, { kind: 'shutdown' }, 30_000],
  ])('POST %s %j', async (path, body, request, timeoutMs) => {
    const { cluster, post } = setup();
    const answer = await post(path, body);
    expect([answer.status, await answer.json()]).toEqual([path === '/replicas' ? 201 : 200, { message: 'Done.', member: null, term: 2 }]);
    expect(cluster.asked).toEqual([{ request, timeoutMs }]);
  });

  it('removes a replica', async () => {
    const { cluster, post } = setup();
    expect((await post('/replicas/n3', '', TOKEN, 'DELETE')).status).toBe(200);
    expect(cluster.asked[0]?.request).toEqual({ kind: 'remove-replica', id: 'n3' });
  });

  it('passes a refusal on with what to do', async () => {
    const { cluster, post } = setup();
    cluster.refusal = new UnderstudyError('remove-primary', { id: 'n1' });
    expect(await errorOf(await post('/replicas/n1', '', TOKEN, 'DELETE'))).toEqual({
      status: 409,
      code: 'remove-primary',
      message: 'n1 is the primary.',
      action: 'Switch over first: `understudy switchover`.',
      details: { id: 'n1' },
    });
  });

  it.each([
    ['/switchover', { to: 'n9' }, 404, 'unknown-member'],
    ['/switchover', { to: '../etc' }, 400, 'bad-request'],
    ['/switchover', { too: 'n2' }, 400, 'bad-request'],
    ['/switchover', '{', 400, 'bad-request'],
    ['/switchover', '[]', 400, 'bad-request'],
    ['/failover', { acceptDataLoss: 'yes' }, 400, 'bad-request'],
    ['/replicas', { applyDelayMs: -1 }, 400, 'bad-request'],
    ['/replicas', { follows: 'n9' }, 404, 'unknown-member'],
    ['/pause', { timeoutMs: -1 }, 400, 'bad-request'],
    ['/pause', { timeoutMs: 'x'.repeat(20_000) }, 400, 'bad-request'],
  ])('refuses POST %s %j', async (path, body, code, error) => {
    const { cluster, post } = setup();
    expect(await errorOf(await post(path, body))).toMatchObject({ status: code, code: error });
    expect(cluster.asked).toEqual([]);
  });

  const paths = ['/switchover', '/failover', '/replicas', '/pause', '/resume', '/shutdown'];
  it.each(paths)('POST %s needs the token', async path => {
    const { cluster, post } = setup();
    for (const headers of [
      {},
      { authorization: 'Bearer ' },
      { authorization: 'Bearer right-toke' },
      { authorization: 'Basic right-token' },
    ]) {
      expect(await errorOf(await post(path, {}, headers as Record<string, string>))).toMatchObject({ status: 401, code: 'bad-token' });
    }
    expect(cluster.asked).toEqual([]);
  });
});

describe('what the router routes', () => {
  const sample = (seen: number) => ({
    atMs: 1,
    seen,
    statements: [{ text: 'select ?', kind: 'read' as const, member: 'n2', reason: 'fresh', waitMs: 0, runMs: 1, endedAtMs: 5 }],
  });

  it('is told only to who has the token, and made only while somebody looks', async () => {
    const { app, cluster } = setup();
    expect(await errorOf(await app.request('/statements'))).toMatchObject({ status: 401 });
    expect(cluster.statementWatchers.size).toBe(0);
    const answer = await app.request('/statements', { headers: TOKEN });
    const reader = new EventReader(answer);
    for (const watcher of cluster.statementWatchers) watcher(sample(7));
    await reader.until(text => text.includes('"seen":7'));
    await reader.cancel();
    expect(cluster.statementWatchers.size).toBe(0);
  });

  it('is dropped, the oldest first, for a reader that does not read', async () => {
    const { app, cluster } = setup();
    const answer = await app.request('/statements', { headers: TOKEN });
    const [watcher] = cluster.statementWatchers;
    for (let i = 1; i <= 1000; i++) watcher!(sample(i));
    const reader = new EventReader(answer);
    await reader.until(text => text.includes('"seen":1000'));
    expect(reader.text).not.toContain('"seen":500,');
    await reader.cancel();
  });
});

describe('the tour', () => {
  it('can be seen by all, and played with the token only', async () => {
    const { app, post } = setup();
    expect(await (await app.request('/tour')).json()).toMatchObject({ state: 'off', chapters: [{ id: 'lag' }] });
    expect(await errorOf(await post('/tour', {}, {}))).toMatchObject({ status: 401 });
    expect(await errorOf(await post('/tour/chapters/lag', {}, { ...TOKEN, origin: 'http://evil.example' }))).toMatchObject({ status: 403 });
    expect(await (await post('/tour/chapters/lag', {})).json()).toMatchObject({ state: 'done', findings: [{ label: 'n2 is behind' }] });
    expect(await errorOf(await post('/tour/chapters/love', {}))).toMatchObject({ status: 404, code: 'no-such-chapter' });
  });
});

describe('other sites', () => {
  it.each([
    [{ 'sec-fetch-site': 'cross-site' }],
    [{ 'sec-fetch-site': 'same-site' }],
    [{ origin: 'http://evil.example' }],
    [{ origin: 'http://127.0.0.1:9999' }],
    [{ origin: 'null' }],
  ])('are refused: %j', async headers => {
    const { cluster, post } = setup();
    expect(await errorOf(await post('/pause', {}, { ...TOKEN, ...headers } as Record<string, string>))).toMatchObject({
      status: 403,
      code: 'cross-site',
    });
    expect(cluster.asked).toEqual([]);
  });

  it('let our own page through', async () => {
    const { post } = setup();
    expect((await post('/pause', {}, { ...TOKEN, 'sec-fetch-site': 'same-origin', origin: 'http://127.0.0.1:8008' })).status).toBe(200);
  });

  it('cannot point their own name at us (DNS rebinding)', async () => {
    const read = async (host: string, listen: string): Promise<number> =>
      (await setup(listen).app.request('/status', { headers: { host } })).status;
    expect(await read('evil.example:8008', '127.0.0.1')).toBe(403);
    expect(await read('localhost.evil.example', '127.0.0.1')).toBe(403);
    expect(await read('localhost:8008', '127.0.0.1')).toBe(200);
    expect(await read('[::1]:8008', '::1')).toBe(200);
    expect(await read('db.internal:8008', '0.0.0.0')).toBe(200);
  });
});

describe('events', () => {
  it('come as JSON, the newest ones, in order', async () => {
    const { app, cluster } = setup();
    for (const kind of ['cluster-created', 'server-started', 'following'] as const) cluster.happen(kind);
    const read = async (query: string) =>
      ((await (await app.request(`/events${query}`)).json()) as { events: { id: number }[] }).events.map(event => event.id);
    expect(await read('')).toEqual([1, 2, 3]);
    expect(await read('?limit=2')).toEqual([2, 3]);
    expect(await read('?after=2')).toEqual([3]);
    expect((await app.request('/events?limit=0')).status).toBe(400);
    expect((await app.request('/events?limt=1')).status).toBe(400);
  });

  it('stream, resume behind Last-Event-ID, and keep the connection with comments', async () => {
    const { app, cluster } = setup();
    const listeners = cluster.listeners.size;
    for (const kind of ['cluster-created', 'server-started', 'following'] as const) cluster.happen(kind);
    const answer = await app.request('/events', { headers: { accept: 'text/event-stream', 'last-event-id': '2' } });
    expect(answer.headers.get('content-type')).toContain('text/event-stream');
    const reader = new EventReader(answer);
    await reader.until(text => text.includes('id: 3\n'));
    expect(reader.text).not.toContain('id: 2\n');
    cluster.happen('paused');
    await reader.until(text => text.includes('id: 4\n') && text.includes('"kind":"paused"'));
    await reader.until(text => text.includes(': keep-alive\n\n'));
    await reader.cancel();
    expect(cluster.listeners.size).toBe(listeners);
  });

  it('tell a client that was away too long how much it has missed', async () => {
    const { app, cluster } = setup();
    for (let i = 0; i < 10; i++) cluster.happen('decision');
    cluster.events.splice(0, 6);
    const reader = new EventReader(await app.request('/events', { headers: { accept: 'text/event-stream', 'last-event-id': '3' } }));
    await reader.until(text => text.includes('event: gap\ndata: {"missed":3}\n\nid: 7\n'));
    await reader.cancel();
  });

  it('hold nothing for a client that does not read', async () => {
    const { app, cluster } = setup();
    const answer = await app.request('/events', { headers: { accept: 'text/event-stream' } });
    for (let i = 0; i < 5000; i++) cluster.happen('decision');
    const reader = new EventReader(answer);
    await reader.until(text => text.includes('id: 5000\n'));
    expect(reader.chunks).toBeLessThan(10);
    await reader.cancel();
  });

  it('end when the server closes', async () => {
    const { app } = setup();
    const server = await serveApi(app, { host: '127.0.0.1', port: 0 });
    const answer = await fetch(`http://127.0.0.1:${server.port}/events`, { headers: { accept: 'text/event-stream' } });
    const ended = answer.text().catch(() => 'cut off');
    await server.close();
    await ended;
    await expect(fetch(`http://127.0.0.1:${server.port}/status`)).rejects.toThrow();
  });

  it('a port that is taken is an error of the catalogue', async () => {
    const { app } = setup();
    const server = await serveApi(app, { host: '127.0.0.1', port: 0 });
    await expect(serveApi(app, { host: '127.0.0.1', port: server.port })).rejects.toMatchObject({ code: 'port-taken' });
    await server.close();
  });
});

describe('metrics', () => {
  it('has every member, the router and the phases of the last failover', async () => {
    const { app, cluster } = setup();
    cluster.document = status({ members: [member('n1', { role: 'primary' }), member('n2', { lagBytes: 512, lagMs: 1500 })] });
    const text = await (await app.request('/metrics')).text();
    for (const line of [
      'understudy_info{cluster="main",version="1.2.3"} 1',
      'understudy_verdict{verdict="healthy"} 1',
      'understudy_verdict{verdict="degraded"} 0',
      'understudy_member_up{member="n2"} 1',
      'understudy_member_role{member="n1",role="primary"} 1',
      'understudy_member_replay_lag_bytes{member="n2"} 512',
      'understudy_member_replay_lag_seconds{member="n2"} 1.5',
      '# TYPE understudy_router_reads_total counter',
      'understudy_router_reads_total{member="n2"} 100',
      'understudy_router_writes_total 42',
      'understudy_last_failover_phase_seconds{phase="detect"} 0.012',
      'understudy_last_failover_phase_seconds{phase="promote"} 0.1',
      'understudy_recent_terms{trigger="primary-exited"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('has what the router knows of its pools, lanes, waits, holds and retries', async () => {
    const { app, cluster } = setup();
    cluster.document = status({ router: { ...status().router, traffic: TRAFFIC } });
    const lines = (await (await app.request('/metrics')).text()).split('\n');
    for (const line of [
      'understudy_router_sessions{state="in-transaction"} 1',
      'understudy_router_pinned_sessions 1',
      'understudy_router_pool_connections{member="n2",role="replica",state="busy"} 3',
      'understudy_router_pool_connections{member="n2",role="replica",state="idle"} 2',
      'understudy_router_pool_waiting{member="n2",role="replica"} 7',
      'understudy_router_lane_reads_total 90',
      'understudy_router_lanes 2',
      'understudy_router_retries_total{cause="25006"} 4',
      'understudy_router_retries_total{cause="lost"} 0',
      'understudy_router_parses_total{outcome="reused"} 60',
      'understudy_router_hold_failures_total{cause="timed-out"} 1',
      '# TYPE understudy_router_hold_seconds histogram',
      'understudy_router_hold_seconds_bucket{le="0.25"} 0',
      'understudy_router_hold_seconds_bucket{le="0.5"} 2',
      'understudy_router_hold_seconds_bucket{le="+Inf"} 2',
      'understudy_router_hold_seconds_sum 0.7',
      'understudy_router_hold_seconds_count 2',
      'understudy_router_fresh_wait_seconds_count{reason="replicas-stale"} 1',
      'understudy_router_answer_seconds_bucket{member="n2",le="0.001"} 1',
    ]) {
      expect(lines).toContain(line);
    }
  });

  it('counts events, and each change of the primary once, while it watches', async () => {
    const { app, cluster } = setup();
    const lines = async (): Promise<string[]> => (await (await app.request('/metrics')).text()).split('\n');
    // What had happened before is history, not an increase.
    expect(await lines()).toEqual(
      expect.arrayContaining(['understudy_failovers_total{trigger="primary-exited"} 0', 'understudy_events_total{kind="paused"} 0']),
    );
    const under = { ...cluster.history.at(-1)!, term: 3, trigger: 'switchover', establishedAtMs: null } as const;
    cluster.history.push(under);
    cluster.happen('term-raised');
    expect(await lines()).toContain('understudy_failovers_total{trigger="switchover"} 0');
    cluster.history[cluster.history.length - 1] = { ...under, establishedAtMs: 2180 };
    cluster.happen('primary-established');
    await lines();
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'understudy_failovers_total{trigger="switchover"} 1',
        'understudy_failovers_total{trigger="primary-exited"} 0',
        'understudy_failover_phase_seconds_count{phase="promote"} 1',
        'understudy_failover_phase_seconds_bucket{phase="promote",le="0.1"} 1',
        'understudy_events_total{kind="primary-established"} 1',
      ]),
    );
  });

  it('says nothing that the catalogue does not have', async () => {
    const { app, cluster } = setup();
    cluster.document = status({ router: { ...status().router, traffic: TRAFFIC } });
    const text = await (await app.request('/metrics')).text();
    const types = [...text.matchAll(/^# TYPE understudy_(\S+) (\S+)$/gm)].map(([, name, type]) => `${name} ${type}`);
    expect(types.toSorted()).toEqual(
      Object.entries(METRICS)
        .map(([name, { type }]) => `${name} ${type}`)
        .toSorted(),
    );
  });
});

describe('restarts and moves', () => {
  const post = (app: ReturnType<typeof setup>['app'], path: string, body: object): Response | Promise<Response> =>
    app.request(path, { method: 'POST', headers: { ...TOKEN, host: 'localhost' }, body: JSON.stringify(body) });

  it('asks for what was meant: what waits, all, one, another version, another machine', async () => {
    const { app, cluster } = setup();
    for (const body of [{}, { all: true }, { member: 'n2' }]) expect((await post(app, '/restart', body)).status).toBe(200);
    await post(app, '/upgrade', {});
    await post(app, '/move', { from: 'n2', to: 'n4' });
    expect(cluster.asked.map(({ request }) => request)).toEqual([
      { kind: 'restart', which: { kind: 'pending' } },
      { kind: 'restart', which: { kind: 'all' } },
      { kind: 'restart', which: { kind: 'member', id: 'n2' } },
      { kind: 'upgrade' },
      { kind: 'move', from: 'n2', to: 'n4' },
    ]);
    expect((await post(app, '/restart', { all: true, member: 'n2' })).status).toBe(400);
    expect((await post(app, '/restart', { member: 'n9' })).status).toBe(404);
  });

  it('says before what would be done, and why it would be refused', async () => {
    const { app, cluster } = setup();
    const plan = async (query: string): Promise<PlanAnswer> =>
      (await (await app.request(`/plan?${query}`, { headers: { host: 'localhost' } })).json()) as PlanAnswer;
    cluster.steps = [{ kind: 'restart', member: 'n2' }, { kind: 'switchover', from: 'n1', to: 'n2' }, { kind: 'done' }];
    expect((await plan('kind=restart')).steps).toHaveLength(3);
    cluster.steps = [{ kind: 'refused', why: 'too few' }];
    expect(await plan('kind=restart&all=true')).toMatchObject({ allowed: false, refusal: { code: 'restart-refused', message: 'too few' } });
    expect(await plan('kind=move&member=n2&to=n4')).toMatchObject({ allowed: false, refusal: { code: 'no-other-machine' } });
    expect((await plan('kind=add-replica')).steps.join(' ')).toMatch(/follows n1, and its acknowledgement counts/);
    expect((await plan('kind=add-replica&applyDelayMs=3600000&follows=n2')).steps.join(' ')).toMatch(
      /data of n2 is copied [^]* follows n2, and shows each change 1 h later\. No commit waits for it/,
    );
    expect((await plan('kind=add-replica&follows=n9')).refusal?.code).toBe('unknown-member');
    cluster.newMembers = 'elsewhere';
    expect((await plan('kind=move&member=n2&to=n4')).steps).toHaveLength(2);
    expect((await plan('kind=move&member=n9&to=n4')).steps).toEqual(['Nothing: n9 is no member any more.']);
  });
});

describe('the OpenAPI document', () => {
  interface Document {
    paths: Record<string, Record<string, { responses: Record<string, { content: Record<string, { schema: { $ref?: string } }> }> }>>;
  }

  it('describes every answer as it is', async () => {
    const { app, cluster } = setup();
    for (const kind of Object.keys(EVENT_KINDS).slice(0, 3) as (keyof typeof EVENT_KINDS)[]) cluster.happen(kind);
    const document = (await (await app.request('/openapi.json')).json()) as Document;
    const asked: string[] = [];
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (path === '/openapi.json') continue;
        const url = path.replace('/chapters/{id}', '/chapters/lag').replace('{id}', 'n2').replace('/plan', '/plan?kind=switchover');
        const content: Record<string, object> = { '/move': { from: 'n2', to: 'n4' }, '/demote': { standbyOf: 'host=a' } };
        const body = content[path] ? { body: JSON.stringify(content[path]) } : {};
        const answer = await app.request(url, { method: method.toUpperCase(), headers: { ...TOKEN, host: 'localhost' }, ...body });
        const described = operation.responses[answer.status]?.content['application/json']?.schema.$ref?.split('/').at(-1);
        asked.push(`${method} ${path} ${answer.status}`);
        if (described === undefined) {
          expect(['/metrics', '/statements']).toContain(path);
          await answer.body?.cancel();
        } else ANSWER_SCHEMAS[described]!.parse(await answer.json());
      }
    }
    expect(asked).toEqual(
      expect.arrayContaining(['get /status 200', 'post /replicas 201', 'get /asynchronous 503', 'delete /replicas/{id} 200']),
    );
  });

  it('leaves no route out', async () => {
    const { app } = setup();
    const document = (await (await app.request('/openapi.json')).json()) as Document;
    const routes = app.routes.filter(route => ['GET', 'POST', 'DELETE'].includes(route.method) && route.path !== '/');
    const described = new Set(
      Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map(method => `${method} ${path}`)),
    );
    expect(
      routes.map(route => `${route.method.toLowerCase()} ${route.path.replace(':id', '{id}')}`).filter(route => !described.has(route)),
    ).toEqual([]);
  });
});

/** Reads a stream piece by piece until it has said something. */
class EventReader {
  text = '';
  chunks = 0;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(answer: Response) {
    this.#reader = answer.body!.getReader();
  }

  async until(condition: (text: string) => boolean): Promise<void> {
    while (!condition(this.text)) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`the stream ended after: ${this.text}`);
      this.chunks += 1;
      this.text += new TextDecoder().decode(value);
    }
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}
