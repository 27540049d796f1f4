import { readdirSync, readFileSync } from 'node:fs';

/** Signs of life of a server that do not need its answer. */
export interface Vitals {
  /** The postmaster was stopped by a signal (SIGSTOP, a debugger): it waits for nothing that could pass by itself. */
  readonly stopped: boolean;
  /**
   * How long each of its processes, and each thread of this one that asks it, was ready to run and was given no processor, in milliseconds since it
   * began. One by one, since what a process had waited for is gone with it.
   */
  readonly waitedForCpuMs: ReadonlyMap<string, number>;
}

/** More children than this are not looked at: one of them that waits for a processor is sign enough. */
const MAX_CHILDREN = 200;

/**
 * The vitals of a postmaster and its children, from proc(5). Null where the system does not tell (another one than Linux, or a process that is
 * gone). Reads are synchronous: these files are made in memory, and a machine that is short of processors must not be asked to wait for them.
 */
export function readVitals(postmasterPid: number): Vitals | null {
  const stat = read(`/proc/${postmasterPid}/stat`);
  const children = read(`/proc/${postmasterPid}/task/${postmasterPid}/children`);
  if (stat === null || children === null) return null;
  const pids = [String(postmasterPid), ...children.split(' ').filter(Boolean).slice(0, MAX_CHILDREN)];
  const tasks = [...pids.map(pid => `/proc/${pid}`), ...ownThreads()];
  const waitedForCpuMs = new Map(tasks.map(task => [task, parseSchedstat(read(`${task}/schedstat`) ?? '')]));
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return { stopped: state === 'T' || state === 't', waitedForCpuMs };
}

function ownThreads(): readonly string[] {
  return readdirSync('/proc/self/task').map(id => `/proc/self/task/${id}`);
}

/** How long those that live now have waited for a processor since then, together, in milliseconds. */
export function waitedSince(before: Vitals, now: Vitals): number {
  let sumMs = 0;
  for (const [task, ms] of now.waitedForCpuMs) sumMs += Math.max(0, ms - (before.waitedForCpuMs.get(task) ?? 0));
  return sumMs;
}

/** The second number of /proc/PID/schedstat: nanoseconds spent waiting on a run queue (Documentation/scheduler/sched-stats.rst). */
export function parseSchedstat(text: string): number {
  const waitedNs = Number(text.split(' ')[1]);
  return Number.isFinite(waitedNs) ? waitedNs / 1e6 : 0;
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
