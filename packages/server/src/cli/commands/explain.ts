import { EXIT, type ExitCode, type MemberId } from '@understudy/core/cluster';
import { type Demand, describeReason, SqlClassifier, type Unit } from '@understudy/core/sql';
import type { StatusDocument } from '../../api/types.ts';
import { sqlParser } from '../../proxy/sql-parser.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { connect } from '../target.ts';

export interface ExplainOptions extends TargetOptions {
  readonly sql: string;
}

export interface Explanation {
  readonly demand: Demand;
  /** Members that may answer now, outside a transaction; empty where no server is asked. */
  readonly servers: readonly MemberId[];
  readonly reason: string;
  /** Functions that the router does not know, and takes for writing ones. */
  readonly unknownFunctions: readonly string[];
}

/** Judges the statement as the router does; it is not run. */
export async function run(context: CommandContext, options: ExplainOptions): Promise<ExitCode> {
  const status = await (await connect(context, options, 'explain')).status();
  const { unit } = new SqlClassifier({ parser: await sqlParser() }).classifyText(options.sql);
  const explanation = explain(unit, status);
  context.terminal.out(options.json ? `${JSON.stringify(explanation)}\n` : explanationText(explanation));
  return EXIT.ok;
}

export function explain(unit: Unit, status: StatusDocument): Explanation {
  return {
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
      const replicas = status.members.filter(({ role, state }) => role === 'replica' && state === 'running').map(member => member.id);
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

function explanationText({ demand, servers, reason, unknownFunctions }: Explanation): string {
  const now = demand === 'primary' || demand === 'replica' ? ` (now: ${servers.join(', ') || 'nobody, so it is held'})` : '';
  const unknown = unknownFunctions.length === 0 ? '' : `unknown   ${unknownFunctions.join(', ')}: may write, as far as the router knows\n`;
  return `goes to   ${PLACES[demand]}${now}\nwhy       ${reason}\n${unknown}note      inside a transaction everything goes to the server of the transaction\n`;
}
