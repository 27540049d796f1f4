import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '../peers/peer.ts';
import { quantile } from './stats.ts';

export type QueryMode = 'simple' | 'extended' | 'prepared';

export interface PgbenchRun {
  readonly to: Endpoint;
  readonly mode: QueryMode;
  readonly clients: number;
  readonly seconds: number;
  /** What is run: `-S`, `-b tpcb-like`, `-f file`, `-C`. */
  readonly work: readonly string[];
}

/** A second of a run. */
export interface Progress {
  readonly atSeconds: number;
  readonly tps: number;
}

export interface PgbenchOutcome {
  readonly tps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
}

/** Share of the transactions whose latency is written down. */
const SAMPLED = 0.2;
/** A run that takes so much longer than it should is ended. */
const PATIENCE_MS = 60_000;

/** Runs pgbench to its end. `onSecond` is called as it reports. Rejects with pgbench's own words when it fails. */
export async function pgbench(run: PgbenchRun, onSecond: (progress: Progress, pid: number) => void): Promise<PgbenchOutcome> {
  const logs = mkdtempSync(join(tmpdir(), 'understudy-bench-log-'));
  try {
    const { stdout, stderr, code } = await spawnPgbench(run, logs, onSecond);
    if (code !== 0) throw new Error(firstError(stderr));
    const latencies = readdirSync(logs).flatMap(name => parseLatencies(readFileSync(join(logs, name), 'latin1')));
    return { ...parseSummary(stdout), p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) };
  } finally {
    rmSync(logs, { recursive: true, force: true });
  }
}

/** pgbench's clock runs while its clients log in, one after the other: so many more seconds for them. */
export function loginSeconds(clients: number): number {
  return Math.ceil(clients / 100);
}

/** Threads of the load: one is enough for one client, and more than there are cores help nobody. */
export function threadsFor(clients: number): number {
  return Math.min(clients, 2);
}

function argumentsOf({ to, mode, clients, seconds, work }: PgbenchRun, logs: string): string[] {
  const where = ['-h', to.host, '-p', String(to.port), '-U', to.user];
  const load = [
    '-n',
    '-M',
    mode,
    '-c',
    String(clients),
    '-j',
    String(threadsFor(clients)),
    '-T',
    String(seconds + loginSeconds(clients)),
    '-P',
    '1',
  ];
  return [...where, ...load, '-l', '--log-prefix', join(logs, 'log'), `--sampling-rate=${SAMPLED}`, ...work, to.database];
}

function spawnPgbench(
  run: PgbenchRun,
  logs: string,
  onSecond: (progress: Progress, pid: number) => void,
): Promise<{ stdout: string; stderr: string; code: number | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn('pgbench', argumentsOf(run, logs), {
      env: { ...process.env, PGPASSWORD: run.to.password, PGCONNECT_TIMEOUT: '30' },
    });
    const limit = setTimeout(() => child.kill('SIGKILL'), run.seconds * 1000 + PATIENCE_MS);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', data => (stdout += data));
    child.stderr.on('data', (data: Buffer) => {
      const text = data.toString();
      stderr += text;
      for (const line of text.split('\n')) {
        const progress = parseProgress(line);
        if (progress !== null) onSecond(progress, child.pid ?? 0);
      }
    });
    child.once('error', reject);
    child.once('close', code => {
      clearTimeout(limit);
      resolve({ stdout, stderr, code });
    });
  });
}

/** `progress: 1.0 s, 3563.3 tps, lat 2.2 ms stddev 0.3, 0 failed`; null for any other line. */
export function parseProgress(line: string): Progress | null {
  const match = /^progress: ([\d.]+) s, ([\d.]+) tps/.exec(line);
  return match === null ? null : { atSeconds: Number(match[1]), tps: Number(match[2]) };
}

/** The closing report. Throws when it is not one. */
export function parseSummary(text: string): { tps: number; failed: number } {
  const tps = /^tps = ([\d.]+) /m.exec(text);
  if (tps === null) throw new Error('no transaction ended in time (pgbench reported no tps)');
  const failed = /^number of failed transactions: (\d+)/m.exec(text);
  return { tps: Number(tps[1]), failed: Number(failed?.[1] ?? 0) };
}

/** Latencies of a transaction log in milliseconds: its third column is microseconds, or `failed`. */
export function parseLatencies(log: string): number[] {
  const latencies: number[] = [];
  for (const line of log.split('\n')) {
    const microseconds = Number(line.split(' ')[2]);
    if (line !== '' && !Number.isNaN(microseconds)) latencies.push(microseconds / 1000);
  }
  return latencies;
}

/** The line of pgbench's complaints that says what was wrong. */
function firstError(stderr: string): string {
  const lines = stderr.trim().split('\n');
  const complaint = lines.find(line => /error|fatal|panic/i.test(line)) ?? lines.at(-1) ?? '';
  return complaint.replace(/^pgbench: /, '').slice(0, 300) || 'pgbench failed';
}
