import { type Address, addressName, ASK_IDENTITY } from '@understudy/core/routing';
import { UnderstudyError } from '@understudy/core/cluster';
import type { ProxyOptions, SecretSource } from '../proxy/options.ts';
import { openAsRouter } from '../proxy/router-connection.ts';
import { type ServerConnection, StatementRefused } from '../proxy/server-connection.ts';
import { LoginRefused } from '../proxy/server-login.ts';
import { ProtocolError } from '@understudy/wire';

const OLDEST_VERSION = 14;
/** The server starts, stops or is full: it may take the login soon. */
const NOT_NOW = /^(?:57P0\d|53\w{3})$/;

/** Whether the role may call understudy.user_secret, and read pg_authid. */
const ASK_SECRETS = `SELECT
  (SELECT bool_or(pg_catalog.has_function_privilege(p.oid, 'EXECUTE') AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))
     FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'understudy' AND p.proname = 'user_secret'),
  pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')`;

/** What a server said when the router's role came to it for the first time. */
export type ServerCheck =
  | { readonly server: string; readonly kind: 'silent'; readonly why: string }
  | { readonly server: string; readonly kind: 'refuses'; readonly why: string }
  | {
      readonly server: string;
      readonly kind: 'answers';
      readonly version: string;
      /** Null when it will not say. */
      readonly systemIdentifier: string | null;
      /** Where the role may look up secrets; null: nowhere. */
      readonly secrets: 'function' | 'catalog' | null;
    };

/** Goes to one server as the router's role. Never rejects. */
export async function checkServer(
  address: Address,
  { router, serverTls, connectTimeoutMs }: Pick<ProxyOptions, 'router' | 'serverTls' | 'connectTimeoutMs'>,
): Promise<ServerCheck> {
  const server = addressName(address);
  try {
    const connection = await openAsRouter(address, { router, serverTls, connectTimeoutMs }, { member: server });
    const timer = setTimeout(() => connection.destroy(new Error('it did not answer in time')), connectTimeoutMs);
    try {
      const [secrets] = await connection.ask(ASK_SECRETS);
      return {
        server,
        kind: 'answers',
        version: connection.parameters.get('server_version') ?? '',
        systemIdentifier: await identityOf(connection),
        secrets: secrets?.[0] === 't' ? 'function' : secrets?.[1] === 't' ? 'catalog' : null,
      };
    } finally {
      clearTimeout(timer);
      connection.end();
    }
  } catch (error) {
    const refused = error instanceof ProtocolError || (error instanceof LoginRefused && !NOT_NOW.test(error.fields.code));
    return { server, kind: refused ? 'refuses' : 'silent', why: (error as Error).message || String((error as NodeJS.ErrnoException).code) };
  }
}

async function identityOf(connection: ServerConnection): Promise<string | null> {
  try {
    return (await connection.ask(ASK_IDENTITY))[0]?.[0] ?? null;
  } catch (error) {
    if (error instanceof StatementRefused) return null;
    throw error;
  }
}

/** Whether a proxy can begin: with which secrets; or what it has to wait for. */
export type CheckResult =
  | { readonly kind: 'ready'; readonly secrets: SecretSource; readonly silent: readonly string[] }
  | { readonly kind: 'wait'; readonly why: string };

/**
 * Judges what the servers said. Those that do not answer are not waited for as long as another one does. `passwords`: the operator's own list of roles.
 * Throws `router-refused`, `no-user-secrets`, `different-clusters`, `server-too-old`. Pure.
 */
export function judgeChecks(checks: readonly ServerCheck[], role: string, passwords: Readonly<Record<string, string>> | null): CheckResult {
  const why = (kind: 'silent' | 'refuses'): string[] =>
    checks.flatMap(check => (check.kind === kind ? [`${check.server}: ${check.why}`] : []));
  const answers = checks.filter(check => check.kind === 'answers');
  const refusals = why('refuses');
  if (refusals.length > 0) throw new UnderstudyError('router-refused', { role, why: refusals.join('; ') });
  if (answers.length === 0) return { kind: 'wait', why: why('silent').join('; ') };
  for (const { server, version } of answers) {
    if (Number.parseInt(version, 10) < OLDEST_VERSION) throw new UnderstudyError('server-too-old', { server, version });
  }
  const named = answers.filter(({ systemIdentifier }) => systemIdentifier !== null);
  if (new Set(named.map(({ systemIdentifier }) => systemIdentifier)).size > 1) {
    throw new UnderstudyError('different-clusters', {
      servers: named.map(check => `${check.server} ${check.systemIdentifier}`).join(', '),
    });
  }
  const silent = why('silent');
  if (passwords !== null) return { kind: 'ready', secrets: { kind: 'users', passwords }, silent };
  const kinds = answers.map(({ secrets }) => secrets);
  // A replica that has not replayed the function yet does, soon.
  const kind = kinds.find(secrets => secrets === 'function') ?? kinds.find(secrets => secrets === 'catalog');
  if (!kind) throw new UnderstudyError('no-user-secrets', { role });
  return { kind: 'ready', secrets: { kind }, silent };
}
