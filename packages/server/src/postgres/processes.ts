import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

/** A process of the operating system. Zombies do not count: they hold nothing any more. */
export interface ProcessInfo {
  readonly pid: number;
  readonly parentPid: number;
  /** Short program name, `postgres` for every process of PostgreSQL, whatever title it shows. */
  readonly command: string;
  /** Tells a process from a later one with the same pid. */
  readonly startedAt: string;
}

/**
 * All living processes of the server in this data directory: those of PostgreSQL that work in it (every child inherits the postmaster's
 * working directory, also once the postmaster is dead), and their descendants (archive commands, for instance).
 */
export async function serverProcesses(dataDirectory: string): Promise<readonly ProcessInfo[]> {
  const directory = await realpath(dataDirectory).catch(() => dataDirectory);
  const all = await listProcesses();
  const working = process.platform === 'linux' ? await workingIn(directory, all) : await workingInByLsof(directory);
  const found = new Map(all.filter(p => p.command === 'postgres' && working.has(p.pid)).map(p => [p.pid, p]));
  for (let grown = true; grown; ) {
    grown = false;
    for (const candidate of all) {
      if (found.has(candidate.parentPid) && !found.has(candidate.pid) && candidate.pid !== process.pid) {
        found.set(candidate.pid, candidate);
        grown = true;
      }
    }
  }
  return [...found.values()];
}

/** The process with this pid, or null when it is gone or a zombie. */
export async function findProcess(pid: number): Promise<ProcessInfo | null> {
  if (process.platform === 'linux') return await readProcess(pid);
  return (await listProcesses()).find(info => info.pid === pid) ?? null;
}

async function listProcesses(): Promise<readonly ProcessInfo[]> {
  if (process.platform !== 'linux') return parsePs((await execFileAsync('ps', ['-axo', 'pid=,ppid=,state=,lstart=,ucomm='])).stdout);
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.map(readProcess));
  return found.filter(info => info !== null);
}

async function readProcess(pid: number): Promise<ProcessInfo | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return text === null ? null : parseStat(text);
}

/** /proc/PID/stat (proc(5)); the name in parentheses may itself hold parentheses and blanks. Null for a zombie. */
export function parseStat(text: string): ProcessInfo | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  const fields = text.slice(close + 2).split(' ');
  const [state, parent] = fields;
  const startedAt = fields[19];
  if (open < 0 || close < open || parent === undefined || startedAt === undefined || state === 'Z' || state === 'X') return null;
  return { pid: Number(text.slice(0, open)), parentPid: Number(parent), command: text.slice(open + 1, close), startedAt };
}

/** Output of `ps -axo pid=,ppid=,state=,lstart=,ucomm=`. */
export function parsePs(text: string): readonly ProcessInfo[] {
  const found: ProcessInfo[] = [];
  for (const line of text.split('\n')) {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\w{3}\s+\w{3}\s+\d+\s+[\d:]+\s+\d+)\s+(.*)$/.exec(line);
    if (!match || match[3]?.startsWith('Z')) continue;
    found.push({ pid: Number(match[1]), parentPid: Number(match[2]), startedAt: match[4] ?? '', command: (match[5] ?? '').trim() });
  }
  return found;
}

async function workingIn(directory: string, processes: readonly ProcessInfo[]): Promise<ReadonlySet<number>> {
  const found = await Promise.all(
    processes
      .filter(info => info.command === 'postgres')
      .map(async ({ pid }) => ((await readlink(`/proc/${pid}/cwd`).catch(() => null)) === directory ? pid : null)),
  );
  return new Set(found.filter(pid => pid !== null));
}

/** lsof ends with 1 when it found nothing, or only warned. */
async function workingInByLsof(directory: string): Promise<ReadonlySet<number>> {
  const output = await execFileAsync('lsof', ['-t', '-a', '-c', 'postgres', '-d', 'cwd', directory]).then(
    result => result.stdout,
    (error: { stdout?: string }) => error.stdout ?? '',
  );
  return new Set(output.split('\n').filter(Boolean).map(Number));
}
