import { join } from 'node:path';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { type Cluster, primaryOf } from '../support/cluster.ts';

export const FAULTS = [
  'kill-postmaster',
  'kill-all-of-primary',
  'stop-all-of-primary',
  'stop-postmaster',
  'kill-agent',
  'stop-agent',
  'kill-agent-and-postgres',
  'kill-replica',
  'kill-primary-and-replica',
  'switchover',
] as const;

export type Fault = (typeof FAULTS)[number];

/** How long a stopped process stays so: longer than it takes to be given up. */
const STOPPED_MS = 4000;

/** A run's faults from its seed alone: each kind once, shuffled, again and again. */
export function* plan(seed: number): Generator<Fault, never> {
  const random = mulberry32(seed);
  for (;;)
    yield* FAULTS.map(fault => ({ fault, at: random() }))
      .sort((a, b) => a.at - b.at)
      .map(({ fault }) => fault);
}

/** A small generator of good enough numbers (mulberry32), so that a seed says everything. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Does it. What was stopped is continued before this resolves, whatever has become of the cluster meanwhile. */
export async function inflict(fault: Fault, cluster: Cluster, status: StatusDocument): Promise<void> {
  const primary = primaryOf(status);
  const replica = status.members.find(m => m.role === 'replica')!;
  switch (fault) {
    case 'kill-postmaster':
      return signal(['SIGKILL', [primary.postmasterPid!]]);
    case 'kill-all-of-primary':
      return signal(['SIGKILL', await processesOf(cluster, primary.id)]);
    case 'stop-all-of-primary':
      return stopFor(await processesOf(cluster, primary.id));
    case 'stop-postmaster':
      return stopFor([primary.postmasterPid!]);
    case 'kill-agent':
      return signal(['SIGKILL', [primary.agentPid!]]);
    case 'stop-agent':
      return stopFor([primary.agentPid!]);
    case 'kill-agent-and-postgres':
      return signal(['SIGKILL', [primary.agentPid!, ...(await processesOf(cluster, primary.id))]]);
    case 'kill-replica':
      return signal(['SIGKILL', [replica.postmasterPid!]]);
    case 'kill-primary-and-replica':
      return signal(['SIGKILL', [primary.postmasterPid!, replica.postmasterPid!]]);
    case 'switchover': {
      const outcome = await cluster.command('switchover');
      if (outcome.code !== 0) throw new Error(`switchover ended with ${outcome.code}: ${outcome.stderr}`);
      return;
    }
    default:
      fault satisfies never;
  }
}

async function processesOf(cluster: Cluster, member: string): Promise<number[]> {
  return (await serverProcesses(join(cluster.data, 'members', member, 'data'))).map(process => process.pid);
}

async function stopFor(pids: readonly number[]): Promise<void> {
  signal(['SIGSTOP', pids]);
  await new Promise(resolve => setTimeout(resolve, STOPPED_MS));
  signal(['SIGCONT', pids]);
}

function signal([name, pids]: readonly [NodeJS.Signals, readonly number[]]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It is gone already: the agent has killed it.
    }
  }
}
