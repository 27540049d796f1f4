import { readdirSync, readFileSync } from 'node:fs';

/** Signs of life of a server that do not need its answer. */
export interface Vitals {
  /** The postmaster was stopped by a signal (SIGSTOP, a debugger): it waits for nothing that could pass by itself. */
  readonly stopped: boolean;
  /** How long its processes, and the threads of this one that asks it, were ready to run and were given no processor, in all, in milliseconds. */
  readonly waitedForCpuMs: number;
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
  const waitedForCpuMs = tasks.reduce((sum, task) => sum + parseSchedstat(read(`${task}/schedstat`) ?? ''), 0);
  const state = stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3);
  return { stopped: state === 'T' || state === 't', waitedForCpuMs };
}

function ownThreads(): readonly string[] {
  return readdirSync('/proc/self/task').map(id => `/proc/self/task/${id}`);
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
