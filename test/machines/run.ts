import pg from 'pg';
import type { ClusterEvent } from '../../packages/core/src/cluster/events.ts';
import type { HistoryAnswer, StatusDocument } from '../../packages/server/src/api/types.ts';
import { type Append, check, type History, longestGapMs, type Verdict } from '../chaos/checker.ts';
import { Workload } from '../chaos/workload.ts';
import { primaryOf } from '../support/cluster.ts';
import { until } from '../support/wait.ts';
import { type FaultName, FAULTS, type NetworkFault } from './faults.ts';
import type { Machines } from './machines.ts';

export interface MachinesReport {
  readonly faults: readonly { readonly fault: FaultName; readonly termsPassed: number; readonly outageMs: number }[];
  /** How each term came to be, with the moments of its phases (wall clock). */
  readonly terms: HistoryAnswer['terms'];
  readonly acknowledged: number;
  readonly reads: number;
  readonly verdict: Verdict;
  readonly surprises: readonly string[];
}

/** `brief`: a fault that another primary is to be expected of ends once that takes writes. `whole`: each lasts its time. */
type Pace = 'brief' | 'whole';

/** What a planned restart of the primary's service was like. */
export interface RestartReport {
  readonly exitCode: number | null;
  readonly termsPassed: number;
  readonly triggers: readonly HistoryAnswer['terms'][number]['trigger'][];
  /** What clients had to be told an error for. */
  readonly unacknowledged: History['appends'];
}

/** Writers and readers on the machines, and one fault after the other; then what was seen is held against what is there. */
export class MachinesRun {
  readonly #machines: Machines;
  readonly #pace: Pace;
  readonly #workload: Workload;
  readonly #faults: { fault: FaultName; termsPassed: number; atMs: number; endedAtMs: number }[] = [];

  constructor(machines: Machines, pace: Pace) {
    this.#machines = machines;
    this.#pace = pace;
    this.#workload = new Workload(machines.url(0), () => Promise.resolve(machines.url(1)));
  }

  async begin(): Promise<void> {
    await this.#workload.prepare();
    this.#workload.start({ writers: 3, readers: 2, direct: 0 });
    // What a fault takes is the time between two acknowledgements.
    await until('the first write', async () => (this.#workload.appends.some(isAcknowledged) ? true : null));
  }

  /** From a healthy cluster to a healthy cluster. */
  async inflict(fault: FaultName): Promise<void> {
    const machines = this.#machines;
    const before = await machines.whenHealthy(120_000);
    const { begin, end, lastsMs, demotes }: NetworkFault = FAULTS[fault];
    const scene = sceneOf(machines, before);
    const atMs = performance.now();
    await begin(machines, scene);
    let reached = before.term;
    if (this.#pace === 'brief' && demotes === 'yes') reached = await this.#whenReplaced(before.term);
    else await new Promise(resolve => setTimeout(resolve, lastsMs));
    const endedAtMs = performance.now();
    await end(machines, scene);
    // A member that was cut off may not have heard yet of what passed meanwhile.
    const after = await machines.whenStatus(
      'a healthy cluster again',
      s => s.verdict === 'healthy' && s.members.length === 3 && s.term >= reached,
      120_000,
    );
    this.#faults.push({ fault, termsPassed: after.term - before.term, atMs, endedAtMs });
  }

  /** The term of the new primary, which takes writes. */
  async #whenReplaced(term: number): Promise<number> {
    const { term: next } = await this.#machines.whenStatus('another primary', status => status.term > term && status.primary !== null);
    const count = this.#workload.appends.length;
    await until(`a write in term ${next}`, async () => (this.#workload.appends.slice(count).some(isAcknowledged) ? true : null));
    return next;
  }

  /** The primary's service is stopped as its unit would stop it, and started again when another member leads. */
  async restartPrimary(): Promise<RestartReport> {
    const machines = this.#machines;
    const before = await machines.whenHealthy(120_000);
    const old = primaryOf(before).id;
    const seen = this.#workload.appends.length;
    const exitCode = await machines.stopService(machines.addressOf(old));
    await machines.whenStatus('another primary', ({ primary }) => primary !== null && primary !== old);
    machines.startService(machines.addressOf(old));
    const after = await machines.whenHealthy(120_000);
    const terms = (await machines.history()).filter(({ term }) => term > before.term);
    return {
      exitCode,
      termsPassed: after.term - before.term,
      triggers: terms.map(({ trigger }) => trigger),
      unacknowledged: this.#workload.appends.slice(seen).filter(({ outcome }) => outcome !== 'acknowledged'),
    };
  }

  async end(): Promise<MachinesReport> {
    await this.#workload.stop();
    const { appends, reads, surprises } = this.#workload;
    const history: History = { appends, reads, final: await this.#finalLists(), elections: await this.#elections() };
    return {
      faults: this.#faults.map(({ fault, termsPassed, atMs, endedAtMs }) => ({
        fault,
        termsPassed,
        outageMs: Math.round(longestGapMs(appends, atMs, endedAtMs)),
      })),
      terms: await this.#machines.history(),
      acknowledged: appends.filter(isAcknowledged).length,
      reads: reads.length,
      verdict: check(history),
      surprises,
    };
  }

  async #finalLists(): Promise<ReadonlyMap<number, readonly string[]>> {
    const client = new pg.Client({ connectionString: this.#machines.url(1) });
    await client.connect();
    const { rows } = await client.query<{ key: number; items: string[] }>('/* understudy:primary */ select key, items from lists');
    await client.end();
    return new Map(rows.map(row => [row.key, row.items]));
  }

  /** As every member's log has them: each hears the others' events. */
  async #elections(): Promise<History['elections']> {
    const all: { term: number; primary: string }[] = [];
    for (const member of [0, 1, 2]) {
      const events = await this.#machines.events(member);
      for (const event of events.filter((each: ClusterEvent) => each.kind === 'primary-elected'))
        all.push({ term: event.term!, primary: String(event.inputs['primary']) });
    }
    return all;
  }
}

function isAcknowledged({ outcome }: Append): boolean {
  return outcome === 'acknowledged';
}

function sceneOf(machines: Machines, status: StatusDocument): Parameters<(typeof FAULTS)['primary-lost']['begin']>[1] {
  const replicas = status.members.filter(({ role }) => role === 'replica').map(({ id }) => machines.addressOf(id));
  return { primary: machines.addressOf(primaryOf(status).id), replicas };
}
