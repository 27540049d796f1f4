import { z } from 'zod';
import { parseBytes } from './bytes.ts';
import { DEFAULT_FAILOVER, type FailoverConfig } from './config.ts';
import { LOG_LEVELS } from './event-levels.ts';
import { nearestName } from './nearest.ts';
import { normalPostgresSettings, POSTGRES_SETTINGS_LIMIT, postgresSettingFault } from './postgres-settings.ts';
import { parseSource } from './standby.ts';
import { CONSISTENCY_LEVELS, REPLICAS_MAX, REPLICAS_MIN, type Settings, TLS_MODES } from './settings.ts';

/** Environment variables and quoted YAML carry numbers as text. */
function whole(min: number, max: number): z.ZodType<number> {
  const error = (issue: { readonly input?: unknown }): string => `must be a whole number from ${min} to ${max}${butIs(issue.input)}`;
  return z.preprocess(
    value => (typeof value === 'string' && /^\d{1,15}$/.test(value.trim()) ? Number(value) : value),
    z.number({ error }).int({ error }).min(min, { error }).max(max, { error }),
  );
}

const size: z.ZodType<number> = z.preprocess(
  value => (typeof value === 'string' ? (parseBytes(value) ?? value) : value),
  z.number('must be a size such as 16MB').int('must be a size such as 16MB').min(0, 'must not be negative'),
);

function oneOf<const T extends readonly string[]>(values: T): z.ZodType<T[number]> {
  return z.enum(values, {
    error: ({ input }) => {
      const meant = typeof input === 'string' ? nearestName(input, values) : null;
      return `must be one of ${values.join(', ')}${butIs(input)}${meant === null ? '' : ` (did you mean ${meant}?)`}`;
    },
  });
}

/** The value that was given, cut short, for a message. */
function butIs(input: unknown): string {
  return typeof input === 'string' || typeof input === 'number' ? `, not ${JSON.stringify(input).slice(0, 40)}` : '';
}

const port = whole(1, 65_535);
const host = z.string('must be a host name or an address').min(1, 'must not be empty').max(253, 'is too long');
const path = z.string('must be a path').min(1, 'must not be empty');
const milliseconds = whole(0, 3_600_000);
const longTime = whole(0, 604_800_000);
const timing = (name: keyof FailoverConfig, description: string) =>
  whole(1, 86_400_000).default(DEFAULT_FAILOVER[name]).describe(description);

/** A list in YAML, or names parted by commas in the environment. */
const names = z
  .preprocess(
    value => (typeof value === 'string' ? words(value) : value),
    z
      .array(z.string('must be a name').min(1, 'must not be empty').max(127, 'is too long'), 'must be a list of names')
      .max(1000, 'is too long'),
  )
  .default([]);

/** A map in YAML, or `name=level` parted by commas in the environment. */
const levels = z
  .preprocess(
    value => (typeof value === 'string' ? Object.fromEntries(words(value).map(word => word.split('=', 2))) : value),
    z.record(z.string().min(1, 'must not be empty').max(63, 'is too long'), oneOf(CONSISTENCY_LEVELS), 'must be a map of names to levels'),
  )
  .default({});

/** A map in YAML, or `name=value` parted by commas in the environment. */
const postgres = z
  .preprocess(
    value => {
      const map = typeof value === 'string' ? Object.fromEntries(words(value).map(assignment)) : value;
      return typeof map === 'object' && map !== null && !Array.isArray(map) ? normalPostgresSettings(map as Record<string, unknown>) : map;
    },
    z
      .record(z.string(), z.string('must be a text, a number, on or off'), 'must be a map of names to values')
      .superRefine((map, context) => {
        const entries = Object.entries(map);
        if (entries.length > POSTGRES_SETTINGS_LIMIT)
          context.addIssue({ code: 'custom', message: `has more than ${POSTGRES_SETTINGS_LIMIT} settings` });
        for (const [name, value] of entries) {
          const fault = postgresSettingFault(name, value);
          if (fault !== null) context.addIssue({ code: 'custom', message: fault, path: [name] });
        }
      }),
  )
  .default({});

const assignment = (text: string): readonly [string, string] => {
  const at = text.indexOf('=');
  return at === -1 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
};

const words = (text: string): string[] =>
  text
    .split(',')
    .map(word => word.trim())
    .filter(word => word !== '');

const failover = z.strictObject({
  heartbeatMs: timing('heartbeatMs', 'A member reports itself this often.'),
  leaseMs: timing('leaseMs', 'A member that was not heard of for this long may be dead.'),
  hangTimeoutMs: timing('hangTimeoutMs', 'A server that has not answered a fresh connection for this long is taken to hang.'),
  streamVetoMs: timing('streamVetoMs', 'A replica that got a message of its primary within this time proves that the primary lives.'),
  replicaTimeoutMs: timing('replicaTimeoutMs', 'A replica that is away longer than this leaves the cohort.'),
  electionTimeoutMs: timing('electionTimeoutMs', 'An election that has not ended after this is tried anew.'),
  drainTimeoutMs: timing('drainTimeoutMs', 'A switchover gives open transactions this long.'),
  flapBlockMs: timing('flapBlockMs', 'After an automatic failover, no other one for this long while the primary still answers.'),
  repairAttempts: timing('repairAttempts', 'Attempts of one repair before it becomes an alarm for a person.'),
});

const routing = z.strictObject({
  freshWaitMs: milliseconds.default(20).describe('How long a read waits for a replica to become fresh enough.'),
  onStale: oneOf(['wait', 'primary', 'error'])
    .default('wait')
    .describe('When no replica is fresh enough: wait up to freshWaitMs and then take the primary, the primary at once, or an error.'),
  maxLagMs: milliseconds.default(1000).describe('The greatest age of what a read at level bounded may see.'),
  readsOnPrimary: oneOf(['never', 'fallback', 'share'])
    .default('fallback')
    .describe('Whether the primary answers reads: never, when no replica can, or as one among the replicas.'),
  replicaMaxLagMs: milliseconds
    .nullable()
    .default(null)
    .describe('A replica further behind takes no reads until it is back at half of it.'),
  replicaMaxLagBytes: size.nullable().default(null).describe('The same in bytes of WAL.'),
  zone: z
    .string('must be a name')
    .min(1, 'must not be empty')
    .max(63, 'is too long')
    .nullable()
    .default(null)
    .describe('Zone of the router: replicas of the same zone are preferred.'),
  allowFunctions: names.describe('Functions that may run on a replica though they are volatile or unknown.'),
  denyFunctions: names.describe('Functions that must run on the primary.'),
  roleConsistency: levels.describe('Levels for the sessions of a role, as role=level.'),
  databaseConsistency: levels.describe('Levels for the sessions of a database, as database=level.'),
});

const proxy = z.strictObject({
  workers: whole(1, 64)
    .nullable()
    .default(null)
    .describe('Threads that serve clients; one where it is not set. They share the limits below.'),
  maxClients: whole(1, 100_000).default(10_000).describe('The most client connections at a time.'),
  maxHeld: whole(1, 100_000).default(10_000).describe('The most statements that wait for a primary at a time.'),
  holdTimeoutMs: milliseconds.default(30_000).describe('How long a statement waits for a primary before the client gets an error.'),
  poolMode: oneOf(['auto', 'transaction', 'session'])
    .default('auto')
    .describe(
      'A client gives its server connection back after each transaction unless it has session state (auto), always, or when it leaves.',
    ),
  poolSize: whole(1, 10_000).default(50).describe('The most connections to one server for one user and database.'),
  maxServerConnections: whole(1, 10_000).default(150).describe('The most connections to one server in all.'),
  queueTimeoutMs: milliseconds.default(30_000).describe('How long a client waits for a server connection before it gets an error.'),
  lanes: oneOf(['on', 'off']).default('on').describe('Whether quick reads of several clients share server connections as pipelines.'),
  serverIdleMs: milliseconds.default(60_000).describe('A server connection that is not used for this long is closed.'),
  loginTimeoutMs: whole(100, 3_600_000).default(15_000).describe('How long a client may take from its first byte to the end of its login.'),
  idleTimeoutMs: longTime.default(0).describe('A client that says nothing for so long is let go; 0 is never.'),
  idleInTransactionTimeoutMs: longTime.default(0).describe('The same with a transaction open.'),
  queryTimeoutMs: longTime
    .default(0)
    .describe('A statement that has been under way for so long, waiting included, is cancelled; 0 is never.'),
  drainTimeoutMs: milliseconds
    .default(10_000)
    .describe('A proxy service that is stopped takes no new clients, and gives open transactions so long to end.'),
});

const tls = z.strictObject({
  mode: oneOf(TLS_MODES)
    .default('auto')
    .describe(
      'Whether the router offers TLS. auto: with a certificate, or when it listens beyond this machine; require: clients without TLS are refused.',
    ),
  cert: path
    .nullable()
    .default(null)
    .describe("The router's certificate, with its chain, in PEM; without one an authority and a certificate are generated."),
  key: path.nullable().default(null).describe('Private key of the certificate, in PEM.'),
  clientCa: path.nullable().default(null).describe('Authorities in PEM: clients must show a certificate of theirs, beside their password.'),
});

const standby = z.strictObject({
  of: z
    .string('must be a connection string')
    .superRefine((text, context) => {
      const result = parseSource(text);
      if (!result.ok) context.addIssue({ code: 'custom', message: result.why });
    })
    .nullable()
    .default(null)
    .describe(
      'Connection string of another cluster: a new cluster begins as its standby, and takes no writes until `understudy promote`. One that exists is not changed by it.',
    ),
  secrets: path
    .nullable()
    .default(null)
    .describe('`secrets.json` of that cluster, for `up`: the copy of its data has its roles, with their passwords.'),
  passwordFile: path
    .nullable()
    .default(null)
    .describe('File with the password of the role that streams from there; without it that of its replication role.'),
});

const schema = z.strictObject({
  cluster: z
    .string()
    .regex(/^[a-z][a-z0-9_-]{0,31}$/, 'must be at most 32 lower-case letters, digits, - and _, beginning with a letter')
    .default('main')
    .describe('Name of the cluster.'),
  data: path.default('./understudy-data').describe('Directory that holds the whole cluster.'),
  host: host.default('127.0.0.1').describe('Address on which the router listens.'),
  port: port.default(5432).describe('Port of the router; a default that is taken moves to the next free one.'),
  httpHost: host.default('127.0.0.1').describe('Address on which the HTTP API listens.'),
  httpPort: port.default(8008).describe('Port of the HTTP API; a default that is taken moves to the next free one.'),
  memberPort: port.default(5433).describe('First port given to a PostgreSQL server; each member takes the next free one.'),
  replicas: whole(REPLICAS_MIN, REPLICAS_MAX).default(2).describe('How many replicas a new cluster has.'),
  provider: oneOf(['embedded', 'system']).default('embedded').describe('Where the programs of PostgreSQL come from.'),
  binDir: path.nullable().default(null).describe('Directory of the PostgreSQL programs, for the provider system.'),
  postgres: postgres.describe(
    "PostgreSQL's own settings, name by name; taken on by a reload where PostgreSQL can, else by `understudy restart`.",
  ),
  durability: oneOf(['quorum', 'async'])
    .default('quorum')
    .describe('quorum: a commit is acknowledged when replicas hold it; async: at once, with a bounded loss in a failover.'),
  acks: whole(1, REPLICAS_MAX).default(1).describe('How many replicas must hold a commit, in quorum.'),
  whenAlone: oneOf(['continue', 'block']).default('continue').describe('With no replica left: go on unprotected, or take no writes.'),
  acksFrom: oneOf(['any-zone', 'other-zones'])
    .default('any-zone')
    .describe("Which replicas' acknowledgements count: any, or only those in another zone than the primary's while there are some."),
  maxLossBytes: size.default(16 * 1024 ** 2).describe('In async: a replica further behind than this is not promoted by itself.'),
  consistency: oneOf(CONSISTENCY_LEVELS).default('strong').describe('How fresh reads must be when a session says nothing else.'),
  routing: routing.prefault({}).describe('Which server may answer a read.'),
  tls: tls.prefault({}).describe('TLS between clients and the router.'),
  standby: standby.prefault({}).describe('Another cluster that a new one follows as its standby.'),
  proxy: proxy.prefault({}).describe('Limits of the router.'),
  failover: failover.prefault({}).describe('Timings of failover.'),
  logLevel: oneOf(LOG_LEVELS).default('info').describe('How much the log says.'),
  logFormat: oneOf(['auto', 'pretty', 'json'])
    .default('auto')
    .describe('Lines for eyes (pretty), or one JSON object a line; auto is pretty on a terminal and in the foreground of `up`.'),
});

/** One thing that is wrong with a configuration. */
export type SettingsIssue =
  | { readonly kind: 'unknown-key'; readonly key: string }
  | { readonly kind: 'bad-value'; readonly key: string; readonly why: string };

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly issues: readonly SettingsIssue[] };

/** Checks a configuration as it came from a file, the environment or flags, and fills in the defaults. Keys are written as `failover.leaseMs`. */
export function parseSettings(value: unknown): SettingsResult {
  const result = schema.safeParse(value);
  if (result.success) return inconsistent(result.data) ?? { ok: true, settings: result.data };
  return { ok: false, issues: result.error.issues.flatMap(issuesOf) };
}

/** All values by themselves are fine; these do not go together. */
function inconsistent(settings: Settings): SettingsResult | null {
  const issue = (key: string, why: string): SettingsResult => ({ ok: false, issues: [{ kind: 'bad-value', key, why }] });
  if (settings.acks > settings.replicas) {
    return issue('acks', `must not be more than the number of replicas (${settings.replicas})`);
  }
  const { cert, key, mode, clientCa } = settings.tls;
  if ((cert === null) !== (key === null))
    return issue(cert === null ? 'tls.cert' : 'tls.key', 'is missing: certificate and key go together');
  if (mode === 'off' && (cert !== null || clientCa !== null)) return issue('tls.mode', 'off does not go with a certificate');
  if (settings.binDir !== null && settings.provider === 'embedded') return issue('binDir', 'goes with the provider system only');
  return null;
}

function issuesOf(issue: z.core.$ZodIssue): readonly SettingsIssue[] {
  const at = issue.path.map(String);
  if (issue.code !== 'unrecognized_keys') return [{ kind: 'bad-value', key: at.join('.'), why: issue.message }];
  return issue.keys.map(key => ({ kind: 'unknown-key', key: [...at, key].join('.') }));
}

/** One setting, for the reference and for the names of environment variables. */
export interface SettingDescription {
  /** `failover.leaseMs`. */
  readonly key: string;
  readonly description: string;
  readonly default: string | number | boolean | null;
  /** `1 to 65535`, `quorum | async`, or empty. */
  readonly values: string;
}

/** Every setting in the order of the schema. */
export function describeSettings(): readonly SettingDescription[] {
  return describeObject(z.toJSONSchema(schema, { io: 'output' }) as JsonObjectSchema, '');
}

/** JSON Schema of the file, for editors. */
export function settingsJsonSchema(): object {
  return z.toJSONSchema(schema, { io: 'output' });
}

interface JsonObjectSchema {
  readonly properties: Readonly<Record<string, JsonLeafSchema>>;
}

interface JsonLeafSchema extends Partial<JsonObjectSchema> {
  readonly description?: string;
  readonly default?: string | number | boolean | null | object;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Lists and maps are empty unless somebody fills them, and an empty text says so in a file and in the environment alike. */
function plainDefault(value: JsonLeafSchema['default']): SettingDescription['default'] {
  if (value === undefined || value === null) return null;
  return typeof value === 'object' ? '' : value;
}

function describeObject(object: JsonObjectSchema, prefix: string): readonly SettingDescription[] {
  return Object.entries(object.properties).flatMap(([name, leaf]) => {
    if (leaf.properties) return describeObject({ properties: leaf.properties }, `${prefix}${name}.`);
    const { description = '', enum: choices, minimum, maximum } = leaf;
    const range = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? `${minimum} to ${maximum}` : '';
    return [{ key: `${prefix}${name}`, description, default: plainDefault(leaf.default), values: choices ? choices.join(' | ') : range }];
  });
}
