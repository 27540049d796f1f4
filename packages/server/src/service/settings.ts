import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { APPLY_DELAY_MS_MAX, didYouMean, isMemberId, type Settings, UnderstudyError } from '@understudy/core/cluster';
import { describeSettings, parseSettings } from '@understudy/core/schemas';
import { z } from 'zod';
import { defaultReadWeight } from '../supervisor/members.ts';
import { settingsFromEnvironment } from '../settings/environment.ts';
import { readConfigFile } from '../settings/file.ts';
import type { EtcdTls } from '../store/etcd/gateway.ts';
import type { EtcdStoreOptions } from '../store/etcd/store.ts';

/** One node of etcd gets this part of a lease to answer before the next one is asked. */
const ATTEMPTS_A_LEASE = 2;

const path = z.string('must be a path').min(1, 'must not be empty');
const endpoint = z.url({ protocol: /^https?$/, error: 'must be a URL such as https://10.0.0.1:2379' });

/** What a machine of a larger cluster must be told beyond the settings of `up`. */
const schema = z.strictObject({
  name: z
    .string('must be the name of this member or proxy, e.g. n1')
    .refine(isMemberId, 'must be a lower-case letter, then letters and digits'),
  secrets: path,
  etcd: z.strictObject({
    endpoints: z.array(endpoint).min(1, 'must not be empty').max(15),
    ca: path.optional(),
    cert: path.optional(),
    key: path.optional(),
    user: z.string().min(1).optional(),
    passwordFile: path.optional(),
  }),
  machineTls: z.strictObject({ ca: path, cert: path, key: path }).optional(),
  httpTls: z.enum(['off', 'machine'], 'must be off or machine').default('off'),
  viewTtlMs: z.number().int().min(100).max(3_600_000).default(2000),
  priority: z.number().int().min(0).max(1000).default(100),
  nofailover: z.boolean().default(false),
  nosync: z.boolean().default(false),
  applyDelayMs: z.number().int().min(0).max(APPLY_DELAY_MS_MAX).default(0),
  follows: z.string().refine(isMemberId, 'must be the name of a member, e.g. n2').nullable().default(null),
  zone: z.string().min(1).max(63).nullable().default(null),
  readWeight: z.number().min(0).max(1000).optional(),
});

/** Certificate files of this machine, in PEM. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Files of the way to etcd, in PEM; without a certificate there is a password, or nothing. */
export interface EtcdTlsFiles {
  readonly ca: string;
  readonly cert: string | null;
  readonly key: string | null;
}

/** Everything that `member` and `proxy` are told by their file, complete and checked. Paths are absolute. */
export interface ServiceSettings {
  readonly name: string;
  readonly file: string;
  readonly secrets: string;
  readonly etcd: EtcdStoreOptions;
  /** Where the texts of `etcd.tls` come from: they may be renewed while they are in use. */
  readonly etcdTls: EtcdTlsFiles | null;
  /** Between the machines, where `tls` of the settings is between clients and a router. Null: nothing there is encrypted. */
  readonly machineTls: TlsFiles | null;
  /** Of the API: `machine` shows the certificate of `machineTls`; `off` is plain HTTP. */
  readonly httpTls: 'off' | 'machine';
  /** A router that has not been able to confirm its view for this long stops `strong` reads. */
  readonly viewTtlMs: number;
  readonly priority: number;
  readonly nofailover: boolean;
  readonly nosync: boolean;
  readonly applyDelayMs: number;
  readonly follows: string | null;
  readonly zone: string | null;
  readonly readWeight: number;
  /** The settings that `up` has too. */
  readonly settings: Settings;
}

/** Reads the file of a member or a proxy. Variables of the environment go before what it says. Throws `bad-config`, `unknown-key`. */
export function loadServiceSettings(cwd: string, named: string, env: Readonly<Record<string, string | undefined>>): ServiceSettings {
  const { path: file, content } = readConfigFile(cwd, named)!;
  const own: Record<string, unknown> = {};
  const shared: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(content)) (Object.hasOwn(schema.shape, key) ? own : shared)[key] = value;
  for (const [key, value] of settingsFromEnvironment(env)) put(shared, key, value);
  const settings = parseShared(shared, file);
  const parsed = schema.safeParse(own);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new UnderstudyError('bad-config', { path: file, why: `${issue.path.join('.') || 'it'} ${issue.message}` });
  }
  if (parsed.data.follows === parsed.data.name)
    throw new UnderstudyError('bad-config', { path: file, why: 'follows names this member itself' });
  if (parsed.data.httpTls === 'machine' && !parsed.data.machineTls)
    throw new UnderstudyError('bad-config', { path: file, why: 'httpTls is machine, but machineTls names no certificate' });
  const { secrets, etcd, machineTls, readWeight, ...rest } = parsed.data;
  const at = (text: string): string => resolve(dirname(file), text);
  const etcdTls =
    etcd.ca === undefined ? null : { ca: at(etcd.ca), cert: etcd.cert ? at(etcd.cert) : null, key: etcd.key ? at(etcd.key) : null };
  return {
    ...rest,
    readWeight: readWeight ?? defaultReadWeight(rest.applyDelayMs),
    file,
    secrets: at(secrets),
    etcd: {
      endpoints: etcd.endpoints,
      prefix: `/understudy/${settings.cluster}/`,
      tls: etcdTls && readEtcdTls(etcdTls),
      login:
        etcd.user === undefined || etcd.passwordFile === undefined
          ? null
          : { user: etcd.user, password: textOf(at(etcd.passwordFile)).trim() },
      attemptMs: Math.ceil(settings.failover.leaseMs / ATTEMPTS_A_LEASE),
    },
    etcdTls,
    machineTls: machineTls ? { ca: at(machineTls.ca), cert: at(machineTls.cert), key: at(machineTls.key) } : null,
    settings: { ...settings, data: at(settings.data) },
  };
}

/** The texts of this machine's certificate as they are now. Throws `bad-config`. */
export function readTls({ ca, cert, key }: TlsFiles): TlsFiles {
  return { ca: textOf(ca), cert: textOf(cert), key: textOf(key) };
}

/** The texts for etcd as they are now. Throws `bad-config`. */
export function readEtcdTls({ ca, cert, key }: EtcdTlsFiles): EtcdTls {
  return { ca: textOf(ca), cert: optional(cert), key: optional(key) };
}

function parseShared(shared: Record<string, unknown>, file: string): Settings {
  const result = parseSettings(shared);
  if (result.ok) return result.settings;
  const issue = result.issues[0]!;
  if (issue.kind === 'bad-value') throw new UnderstudyError('bad-config', { path: file, why: `${issue.key} ${issue.why}` });
  const known = new Set([...describeSettings().map(({ key }) => key), ...Object.keys(schema.shape)]);
  throw new UnderstudyError('unknown-key', { key: issue.key, path: file, hint: didYouMean(issue.key, known) });
}

function put(target: Record<string, unknown>, key: string, value: string): void {
  const [first, second] = key.split('.') as [string, string | undefined];
  if (second === undefined) target[first] = value;
  else target[first] = { ...(target[first] as object | undefined), [second]: value };
}

function optional(file: string | null): string | null {
  return file === null ? null : textOf(file);
}

/** Throws `bad-config`. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UnderstudyError('bad-config', { path: file, why: (error as Error).message }, { cause: error });
  }
}
