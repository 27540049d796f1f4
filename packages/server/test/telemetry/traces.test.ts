import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { traceSettings } from '../../src/telemetry/settings.ts';
import { startTraces } from '../../src/telemetry/traces.ts';
import { RecordedCluster } from '../api/facade.ts';

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, string | number>> }[];
}
interface OtlpBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly object[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

/** An OTLP receiver that keeps what it is sent. */
class Receiver {
  readonly bodies: OtlpBody[] = [];
  readonly requests: { readonly url: string | undefined; readonly headers: IncomingHttpHeaders }[] = [];
  status = 200;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      let text = '';
      request.on('data', (chunk: Buffer) => (text += chunk.toString()));
      request.on('end', () => {
        this.requests.push({ url: request.url, headers: request.headers });
        this.bodies.push(JSON.parse(text) as OtlpBody);
        response.writeHead(this.status, { 'content-type': 'application/json' }).end('{}');
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get spans(): readonly OtlpSpan[] {
    return this.bodies.flatMap(body => body.resourceSpans.flatMap(of => of.scopeSpans.flatMap(scope => scope.spans)));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const receivers: Receiver[] = [];
afterEach(() => {
  for (const receiver of receivers.splice(0)) receiver.close();
});

async function tracing(member: string | null = null) {
  const receiver = new Receiver();
  receivers.push(receiver);
  const endpoint = await receiver.listen();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/`, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20b', OTEL_SERVICE_NAME: 'blog' };
  const cluster = new RecordedCluster();
  const warnings: string[] = [];
  const stop = startTraces(cluster, { settings: traceSettings(env)!, version: '1.2.3', member, warn: message => warnings.push(message) });
  return { receiver, cluster, warnings, stop };
}

const failover = (cluster: RecordedCluster) => ({ ...cluster.history.at(-1)!, term: 3, detectMs: 12 });

describe('traces', () => {
  it('of a failover have its phases, end to end', async () => {
    const { receiver, cluster, stop } = await tracing();
    cluster.history.push(failover(cluster));
    cluster.happen('primary-established');
    cluster.happen('cohort-changed');
    await stop();
    const [root, ...phases] = receiver.spans;
    expect(root).toMatchObject({ name: 'failover', kind: 1, startTimeUnixNano: '1988000000', endTimeUnixNano: '2180000000' });
    expect(root!.attributes).toContainEqual({ key: 'understudy.trigger', value: { stringValue: 'primary-exited' } });
    expect(root!.attributes).toContainEqual({ key: 'understudy.term', value: { intValue: '3' } });
    expect(phases.map(({ name, startTimeUnixNano, endTimeUnixNano }) => [name, startTimeUnixNano, endTimeUnixNano])).toEqual([
      ['detect', '1988000000', '2000000000'],
      ['elect', '2000000000', '2050000000'],
      ['promote', '2050000000', '2150000000'],
      ['establish', '2150000000', '2180000000'],
    ]);
    for (const phase of phases) expect([phase.parentSpanId, phase.traceId]).toEqual([root!.spanId, root!.traceId]);
    expect(root!.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(receiver.spans.map(({ spanId }) => spanId)).size).toBe(5);
    expect(receiver.requests[0]).toMatchObject({ url: '/v1/traces', headers: { 'x-key': 'a b', 'content-type': 'application/json' } });
    expect(receiver.bodies[0]!.resourceSpans[0]!.resource.attributes).toContainEqual({
      key: 'service.name',
      value: { stringValue: 'blog' },
    });
  });

  it('of statements have the route, the wait and the run', async () => {
    const { receiver, cluster, stop } = await tracing();
    const statement = { text: 'select ?', kind: 'read', member: 'n2', reason: 'a read', waitMs: 5, runMs: 10, endedAtMs: 1015 } as const;
    for (const watcher of cluster.statementWatchers) watcher({ atMs: 2000, seen: 8, statements: [statement, { ...statement, waitMs: 0 }] });
    await stop();
    expect(
      receiver.spans.map(({ name, kind, startTimeUnixNano, endTimeUnixNano }) => [name, kind, startTimeUnixNano, endTimeUnixNano]),
    ).toEqual([
      ['route read', 1, '1000000000', '1015000000'],
      ['wait', 1, '1000000000', '1005000000'],
      ['run on n2', 3, '1005000000', '1015000000'],
      ['route read', 1, '1005000000', '1015000000'],
      ['run on n2', 3, '1005000000', '1015000000'],
    ]);
    expect(receiver.spans[0]!.attributes).toContainEqual({ key: 'understudy.stands_for', value: { intValue: '4' } });
    expect(receiver.spans[2]!.attributes).toContainEqual({ key: 'db.query.text', value: { stringValue: 'select ?' } });
  });

  it('are told by the member that leads, where several see the same', async () => {
    const { receiver, cluster, stop } = await tracing('n3');
    cluster.history.push(failover(cluster));
    cluster.happen('primary-established');
    await stop();
    expect(receiver.spans).toEqual([]);
  });

  it('that cannot be sent are dropped, with one warning', async () => {
    const { receiver, cluster, warnings, stop } = await tracing();
    receiver.status = 503;
    cluster.history.push(failover(cluster));
    cluster.happen('primary-established');
    await stop();
    expect(warnings).toEqual(['Traces cannot be sent: it answers 503']);
  });

  it('end with the watching of statements', async () => {
    const { cluster, stop } = await tracing();
    expect(cluster.statementWatchers.size).toBe(1);
    await stop();
    expect([cluster.statementWatchers.size, cluster.listeners.size]).toEqual([0, 0]);
  });
});

describe('the variables of OpenTelemetry', () => {
  it.each([
    [{}, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, 'http://c:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t/x' }, 'http://t/x'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_SDK_DISABLED: 'true' }, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318', OTEL_TRACES_EXPORTER: 'none' }, null],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' }, null],
  ])('%j', (env, endpoint) => expect(traceSettings(env)?.endpoint ?? null).toBe(endpoint));
});
