import { EXIT, type ExitCode, type MemberId } from '@understudy/core/cluster';
import { ASK_FUNCTIONS, DatabaseFunctions, type Demand, describeReason, SqlClassifier, type Unit } from '@understudy/core/sql';
import pg from 'pg';
import type { StatusDocument } from '../../api/types.ts';
import { sqlParser } from '../../proxy/sql-parser.ts';
import type { ApiClient } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { connect } from '../target.ts';

/** Functions are asked for this long at most. */
const DEADLINE_MS = 5000;

export interface ExplainOptions extends TargetOptions {
  readonly sql: string;
  /** Where functions are looked up; the default database of the cluster's URL when it is not given. */
  readonly database?: string | undefined;
}

export interface Explanation {
  readonly demand: Demand;
  /** Members that may answer now, outside a transaction; empty where no server is asked. */
  readonly servers: readonly MemberId[];
  readonly reason: string;
  /** Functions that the router does not know, and takes for writing ones. */
  readonly unknownFunctions: readonly string[];
  /** The source of a standby cluster, which has no primary of its own. */
  readonly elsewhere: string | null;
}

/** Judges the statement as the router does; it is not run. */
export async function run(context: CommandContext, options: ExplainOptions): Promise<ExitCode> {
  const api = await connect(context, options, 'explain');
  const status = await api.status();
  const functions = new DatabaseFunctions();
  const classifier = new SqlClassifier({ parser: await sqlParser(), facts: functions });
  let { unit } = classifier.classifyText(options.sql);
  if (unit.unknownFunctions.length > 0 && (await learnFunctions(api, functions, options.database ?? null))) {
    classifier.functionsChanged();
    unit = classifier.classifyText(options.sql).unit;
  }
  const explanation = explain(unit, status);
  context.terminal.out(options.json ? `${JSON.stringify(explanation)}\n` : explanationText(explanation));
  return EXIT.ok;
}

/** Asks the database for its functions, as the router does. False when it cannot be asked: then they stay unknown, and on the primary. */
async function learnFunctions(api: ApiClient, functions: DatabaseFunctions, database: string | null): Promise<boolean> {
  try {
    const url = new URL(await api.connectionUrl('router'));
    if (database !== null) url.pathname = `/${encodeURIComponent(database)}`;
    const client = new pg.Client({ connectionString: url.href, connectionTimeoutMillis: DEADLINE_MS, query_timeout: DEADLINE_MS });
    client.on('error', () => undefined);
    await client.connect();
    try {
      const { rows } = await client.query<{ json_agg: Parameters<DatabaseFunctions['replace']>[0] | null }>(ASK_FUNCTIONS);
      functions.replace(rows[0]?.json_agg ?? []);
      return true;
    } finally {
      await client.end();
    }
  } catch {
    return false;
  }
}

export function explain(unit: Unit, status: StatusDocument): Explanation {
  return {
    elsewhere: status.standby?.source ?? null,
    demand: unit.demand,
    servers: serversFor(unit.demand, status),
    reason: describeReason(unit.reason),
    unknownFunctions: unit.unknownFunctions.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`)),
  };
}

function serversFor(demand: Demand, status: StatusDocument): readonly MemberId[] {
  const primary = status.primary === null || status.verdict === 'no-primary' ? [] : [status.primary];
  switch (demand) {
    case 'primary':
      return primary;
    case 'replica': {
      const replicas = status.members
        .filter(({ role, state, replayPaused }) => role === 'replica' && state === 'running' && !replayPaused)
        .map(member => member.id);
      return replicas.length > 0 ? replicas : primary;
    }
    case 'session':
    case 'router':
      return [];
    default:
      return demand satisfies never;
  }
}

const PLACES: Readonly<Record<Demand, string>> = {
  replica: 'a replica that is fresh enough, else the primary',
  primary: 'the primary',
  session: 'the server that the session is on; the router remembers what it changes',
  router: 'no server: the router answers by itself',
};

function explanationText({ demand, servers, reason, unknownFunctions, elsewhere }: Explanation): string {
  const nobody = elsewhere === null ? 'nobody, so it is held' : `nobody, so it is refused: this is a standby of ${elsewhere}`;
  const now = demand === 'primary' || demand === 'replica' ? ` (now: ${servers.join(', ') || nobody})` : '';
  const unknown = unknownFunctions.length === 0 ? '' : `unknown   ${unknownFunctions.join(', ')}: may write, as far as the router knows\n`;
  return `goes to   ${PLACES[demand]}${now}\nwhy       ${reason}\n${unknown}fresh     a replica answers once it has replayed what the session's consistency level asks for; see docs/consistency.md\nnote      inside a transaction everything goes to the server of the transaction\n`;
}
