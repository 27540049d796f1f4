import { readdirSync, readFileSync } from 'node:fs';

/** Unit of the times in /proc: USER_HZ, which Linux fixes at 100 for programs. */
const MICROSECONDS_A_TICK = 10_000;

interface ProcessTimes {
  readonly parent: number;
  /** Own time and that of children that have ended and were waited for, in ticks. */
  readonly ticks: number;
}

/** Parent and CPU time of one line of /proc/PID/stat (proc(5)). Null when it is none. */
export function parseStat(line: string): ProcessTimes | null {
  // The name in parentheses may hold anything, a parenthesis too.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const at = (index: number): number => Number(fields[index]);
  const ticks = at(11) + at(12) + at(13) + at(14);
  return Number.isNaN(ticks) ? null : { parent: at(1), ticks };
}

export type ProcessTable = ReadonlyMap<number, ProcessTimes>;

/** Reads of the table before one is taken although processes ended meanwhile. */
const MAX_READS = 20;

/**
 * All processes of the machine as they are now. The time of one that ends goes over to its parent: when that was read before, it would be missing, so the
 * table is read again until none has ended meanwhile.
 */
export function processTable(): ProcessTable {
  let table = readTable();
  for (let reads = 1; reads < MAX_READS; reads++) {
    const there = new Set(pidsNow());
    if ([...table.keys()].every(pid => there.has(pid)) && !table.hasGaps) break;
    table = readTable();
  }
  return table;
}

function pidsNow(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

/** One reading; `hasGaps`: a process that was listed had ended when its turn came. */
class Reading extends Map<number, ProcessTimes> {
  hasGaps = false;
}

function readTable(): Reading {
  const table = new Reading();
  for (const pid of pidsNow()) {
    const times = parseStat(readOrNothing(`/proc/${pid}/stat`));
    if (times === null) table.hasGaps = true;
    else table.set(pid, times);
  }
  return table;
}

/** These processes and all below them. */
export function familyOf(table: ProcessTable, roots: readonly number[]): Set<number> {
  const family = new Set(roots.filter(pid => table.has(pid)));
  const children = new Map<number, number[]>();
  for (const [pid, { parent }] of table) children.set(parent, [...(children.get(parent) ?? []), pid]);
  for (const pid of family) for (const child of children.get(pid) ?? []) family.add(child);
  return family;
}

/** CPU time of the processes and all below them, those that have ended since included, in microseconds. */
export function cpuMicroseconds(table: ProcessTable, roots: readonly number[]): number {
  let ticks = 0;
  for (const pid of familyOf(table, roots)) ticks += table.get(pid)?.ticks ?? 0;
  return ticks * MICROSECONDS_A_TICK;
}

/** Memory of the processes and all below them, shared pages divided among their users (PSS), in bytes. */
export function memoryBytes(roots: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of familyOf(processTable(), roots)) {
    const line = /^Pss:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/smaps_rollup`));
    kilobytes += Number(line?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
