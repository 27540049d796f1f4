import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { type Cluster, primaryOf } from '../support/cluster.ts';
import { postgresPids, signalAll } from '../support/freeze.ts';

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
  'kill-clone',
  'fill-disk',
  'switchover',
] as const;

export type Fault = (typeof FAULTS)[number];

/** How long a stopped process stays so: longer than it takes to be given up. */
const STOPPED_MS = 4000;

/** What is done at the same moment: one fault, now and then two. */
export type Blow = readonly [Fault] | readonly [Fault, Fault];

/** Those of the short run. */
export const SIMPLE_FAULTS: readonly Fault[] = FAULTS.filter(fault => fault !== 'kill-clone' && fault !== 'fill-disk');

/**
 * A run's faults from its seed alone: each kind once, shuffled, with some pairs in between, again and again. A disk is filled alone: what else befalls
 * a member without space heals only with the space.
 */
export function* plan(seed: number, kinds: readonly Fault[], pairs: number): Generator<Blow, never> {
  const random = mulberry32(seed);
  const mayMeet = kinds.filter(fault => fault !== 'fill-disk');
  const draw = (): Fault => mayMeet[Math.floor(random() * mayMeet.length)]!;
  for (;;) {
    const blows = [...kinds.map((fault): Blow => [fault]), ...Array.from({ length: pairs }, (): Blow => [draw(), draw()])];
    yield* blows
      .map(blow => ({ blow, at: random() }))
      .sort((x, y) => x.at - y.at)
      .map(({ blow }) => blow);
  }
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
export async function inflict(blow: Blow, cluster: Cluster, status: StatusDocument): Promise<void> {
  await Promise.all(blow.map(fault => inflictOne(fault, cluster, status, blow.length === 1)));
}

async function inflictOne(fault: Fault, cluster: Cluster, status: StatusDocument, isAlone: boolean): Promise<void> {
  const primary = primaryOf(status);
  const replica = status.members.find(m => m.role === 'replica')!;
  switch (fault) {
    case 'kill-postmaster':
      return signalAll([primary.postmasterPid!], 'SIGKILL');
    case 'kill-all-of-primary':
      return signalAll(await postgresPids(cluster, primary.id), 'SIGKILL');
    case 'stop-all-of-primary':
      return stopFor(await postgresPids(cluster, primary.id));
    case 'stop-postmaster':
      return stopFor([primary.postmasterPid!]);
    case 'kill-agent':
      return signalAll([primary.agentPid!], 'SIGKILL');
    case 'stop-agent':
      return stopFor([primary.agentPid!]);
    case 'kill-agent-and-postgres':
      return signalAll([primary.agentPid!, ...(await postgresPids(cluster, primary.id))], 'SIGKILL');
    case 'kill-replica':
      return signalAll([replica.postmasterPid!], 'SIGKILL');
    case 'kill-primary-and-replica':
      return signalAll([primary.postmasterPid!, replica.postmasterPid!], 'SIGKILL');
    case 'kill-clone':
      return killClone(cluster, replica);
    case 'fill-disk':
      return fillFor(memberDirectory(cluster, primary.id));
    case 'switchover': {
      const outcome = await cluster.command('switchover');
      // Beside another fault it may be refused, or overtaken by a failover.
      if (outcome.code !== 0 && isAlone) throw new Error(`switchover ended with ${outcome.code}: ${outcome.stderr}`);
      return;
    }
    default:
      fault satisfies never;
  }
}

/** A replica loses its data, and its agent dies in the middle of the copy that it makes then. */
async function killClone(cluster: Cluster, { id, agentPid }: StatusDocument['members'][number]): Promise<void> {
  signalAll([agentPid!], 'SIGSTOP');
  signalAll(await postgresPids(cluster, id), 'SIGKILL');
  rmSync(join(memberDirectory(cluster, id), 'data'), { recursive: true, force: true });
  signalAll([agentPid!], 'SIGKILL');
  const isCloning = (s: StatusDocument): boolean => s.members.find(m => m.id === id)?.state === 'cloning';
  const found = await cluster.whenStatus('a copy is being made', isCloning, STOPPED_MS * 4).catch(() => null);
  // Beside another fault there may be nobody to copy from yet.
  signalAll(found?.members.find(m => m.id === id)?.agentPid ? [found.members.find(m => m.id === id)!.agentPid!] : [], 'SIGKILL');
}

/** Leaves no byte free for a while. */
async function fillFor(directory: string): Promise<void> {
  const filler = join(directory, 'filler');
  const file = openSync(filler, 'w');
  for (let chunk = Buffer.alloc(1 << 20); chunk.length > 0; ) {
    try {
      writeSync(file, chunk);
    } catch {
      chunk = chunk.subarray(0, chunk.length >> 1);
    }
  }
  closeSync(file);
  await new Promise(resolve => setTimeout(resolve, STOPPED_MS));
  rmSync(filler, { force: true });
}

function memberDirectory(cluster: Cluster, member: string): string {
  return join(cluster.data, 'members', member);
}

async function stopFor(pids: readonly number[]): Promise<void> {
  signalAll(pids, 'SIGSTOP');
  await new Promise(resolve => setTimeout(resolve, STOPPED_MS));
  signalAll(pids, 'SIGCONT');
}
