import { z } from 'zod';
import { HEALTH_CHECKS } from './health.ts';
import * as schemas from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;

/** The shapes of the answers by their names in the document. */
export const ANSWER_SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  Status: schemas.statusSchema,
  Events: schemas.eventsSchema,
  History: schemas.historySchema,
  Samples: schemas.samplesSchema,
  Topology: schemas.topologySchema,
  Plan: schemas.planSchema,
  Health: schemas.healthSchema,
  Url: schemas.urlSchema,
  Tour: schemas.tourSchema,
  TourChapter: schemas.chapterSchema,
  OperationResult: schemas.resultSchema,
  Error: schemas.errorSchema,
};

/** The OpenAPI 3.1 document; its schemas are those that the requests are checked with. */
export function openApiDocument(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Understudy',
      version,
      description: 'Health checks, status and operations of one primary–replica PostgreSQL cluster.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths: { ...healthPaths(), ...readingPaths(), ...operationPaths() },
    components: {
      schemas: Object.fromEntries(Object.entries(ANSWER_SCHEMAS).map(([name, schema]) => [name, jsonSchema(schema)])),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'The token of the data directory (run/supervisor.json).' },
      },
    },
  };
}

function jsonSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

function json(name: string, description: string): Json {
  return { description, content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } };
}

function text(type: string, description: string): Json {
  return { description, content: { [type]: { schema: { type: 'string' } } } };
}

function query(name: string, description: string, schema: Json = { type: 'string' }): Json {
  return { name, in: 'query', required: false, description, schema };
}

const ERROR = json('Error', 'Refused or failed; the body says why and what to do.');

function healthPaths(): Json {
  const parameters = [
    query('lag', 'Replicas further behind than this do not count: bytes, or a size such as 10MB.'),
    query('member', 'Ask about this member instead of the cluster.'),
  ];
  const responses = { 200: json('Health', 'Yes.'), 503: json('Health', 'No.'), default: ERROR };
  const get = (path: string, more: readonly Json[]): [string, Json] => [
    path,
    {
      get: {
        summary: HEALTH_SUMMARIES[HEALTH_CHECKS[path.slice(path.lastIndexOf('/') + 1) as keyof typeof HEALTH_CHECKS]],
        parameters: more,
        responses,
      },
    },
  ];
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
  const names = Object.keys(HEALTH_CHECKS);
  return Object.fromEntries([
    ...names.map(name => get(`/${name}`, parameters)),
    ...names.map(name => get(`/members/{id}/${name}`, [id, parameters[0]!])),
  ]);
}

const HEALTH_SUMMARIES: Readonly<Record<(typeof HEALTH_CHECKS)[keyof typeof HEALTH_CHECKS], string>> = {
  primary: 'Is there an open primary?',
  replica: 'Is there a running replica, within the lag?',
  'read-only': 'Is there a member that answers reads?',
  synchronous: 'Is there a replica whose acknowledgement counts?',
  asynchronous: 'Is there a replica whose acknowledgement does not count?',
  'standby-leader': 'Is there a running standby leader, that of a standby cluster?',
  health: 'Does PostgreSQL run?',
  readiness: 'Is there an open primary or a replica within the lag?',
  liveness: 'Does the supervisor answer?',
};

function readingPaths(): Json {
  const token = [{ token: [] }];
  const get = (summary: string, ok: Json, parameters: readonly Json[] = [], more: Json = {}): Json => ({
    get: { summary, parameters, responses: { 200: ok, default: ERROR }, ...more },
  });
  const integer = { type: 'integer', minimum: 0 };
  const events = {
    description: 'JSON, or server-sent events without end where the client accepts text/event-stream.',
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/Events' } },
      'text/event-stream': { schema: { type: 'string' } },
    },
  };
  return {
    '/status': get('The whole state of the cluster.', json('Status', 'The status document.')),
    '/events': get('What has happened, newest last.', events, [
      query('after', 'Only events with a greater number; Last-Event-ID does the same.', integer),
      query('limit', 'At most so many, the newest.', integer),
    ]),
    '/topology': get(
      'Who may be sent what, for routers in applications. With `after` (a version) and `wait` (milliseconds) it answers at the next change.',
      json('Topology', 'The topology and its version.'),
    ),
    '/samples': get('Lag and traffic over the last five minutes, one sample a second.', json('Samples', 'Oldest first.')),
    '/history': get('How each term came to be.', json('History', 'The last terms.')),
    '/plan': get('What an operation would do now. Touches nothing.', json('Plan', 'The plan.'), [
      {
        ...query('kind', 'The operation.', { enum: schemas.PLANNED_KINDS }),
        required: true,
      },
      query('member', 'The member that is meant.'),
      query('acceptDataLoss', 'For failover.', { enum: ['true', 'false'] }),
      query('to', 'For move: the member that takes the place.'),
      query('all', 'For restart: every server.', { enum: ['true', 'false'] }),
      query('applyDelayMs', 'For add-replica: a delayed one.', integer),
      query('follows', 'For add-replica: the member that it streams from.'),
    ]),
    '/statements': get(
      'What the router routes now: samples as server-sent events, without literals.',
      text(
        'text/event-stream',
        'One message a sample: {atMs, seen, statements: [{text, kind, member, reason, waitMs, runMs, endedAtMs}]}.',
      ),
      [],
      { security: token },
    ),
    '/metrics': get('Metrics for Prometheus.', text('text/plain', "Prometheus' text format.")),
    '/url': get(
      'Where to connect, with the password.',
      json('Url', 'A connection URL.'),
      [query('role', 'Who to connect to.', { enum: ['router', 'primary', 'replica'], default: 'router' })],
      { security: token },
    ),
    '/openapi.json': get('This document.', json('OpenApi', 'OpenAPI 3.1.')),
  };
}

function operationPaths(): Json {
  const security = [{ token: [] }];
  const operation = (summary: string, body: z.ZodType, ok = 200): Json => ({
    summary,
    security,
    requestBody: { required: false, content: { 'application/json': { schema: jsonSchema(body) } } },
    responses: { [ok]: json('OperationResult', 'Done.'), default: ERROR },
  });
  const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } };
  return {
    '/switchover': { post: operation('Make another member the primary, as planned.', schemas.switchoverBody) },
    '/promote': { post: operation('Make a standby cluster take writes.', schemas.promotionBody) },
    '/demote': { post: operation('Make the cluster the standby of another one.', schemas.demotionBody) },
    '/failover': { post: operation('Promote a replica now.', schemas.failoverBody) },
    '/replicas': { post: operation('Add a replica.', schemas.additionBody, 201) },
    '/replicas/{id}': { delete: { ...operation('Remove a replica and its data.', schemas.plainBody), parameters: [id] } },
    '/tour': {
      get: { summary: 'The guided tour as far as it has come.', responses: { 200: json('Tour', 'The tour.'), default: ERROR } },
      post: { summary: 'Begin the tour: a small blog works.', security, responses: { 200: json('Tour', 'It is on.'), default: ERROR } },
      delete: {
        summary: 'End the tour and remove what it made.',
        security,
        responses: { 200: json('Tour', 'It is off.'), default: ERROR },
      },
    },
    '/tour/chapters/{id}': {
      post: {
        summary: 'Play a chapter to its end.',
        security,
        parameters: [id],
        responses: { 200: json('TourChapter', 'The chapter with what was found.'), default: ERROR },
      },
    },
    '/restart': {
      post: operation('Restart the servers with settings that wait for it, all, or one; one after the other.', schemas.restartBody),
    },
    '/move': { post: operation('Have a member on another machine take the place of one.', schemas.moveBody) },
    '/upgrade': { post: operation('Restart the servers that run another minor version than is installed.', schemas.plainBody) },
    '/pause': { post: operation('Take no automatic action.', schemas.plainBody) },
    '/resume': { post: operation('Take automatic actions again.', schemas.plainBody) },
    '/release': { post: operation('Let all servers go on without Understudy, and end the services of the members.', schemas.plainBody) },
    '/shutdown': { post: operation('Stop the cluster cleanly.', schemas.plainBody) },
  };
}
