import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { type Outcome, run } from './program.ts';
import { until } from './wait.ts';

export const BIN: string = fileURLToPath(new URL('../../packages/server/bin/understudy.mjs', import.meta.url));

/** The product as its users meet it: the command, a data directory of its own, free ports. */
export class Cluster {
  readonly parent: string;
  readonly data: string;
  readonly port: number;
  readonly httpPort: number;
  readonly memberPort: number;
  #url = '';

  private constructor(ports: readonly [number, number, number]) {
    this.parent = mkdtempSync(join(tmpdir(), 'understudy-e2e-'));
    // PostgreSQL's account must be able to pass through.
    chmodSync(this.parent, 0o755);
    this.data = join(this.parent, 'data');
    [this.port, this.httpPort, this.memberPort] = ports;
  }

  /** A directory and ports; nothing runs yet. */
  static async prepare(): Promise<Cluster> {
    return new Cluster([await freePort(), await freePort(), await freePort()]);
  }

  static async start(...options: string[]): Promise<Cluster> {
    const cluster = await Cluster.prepare();
    const outcome = await cluster.up(...options);
    if (outcome.code !== 0) throw new Error(`up ended with ${outcome.code}: ${outcome.stderr}`);
    return cluster;
  }

  get url(): string {
    return this.#url;
  }

  /** `understudy <args> --data …`; what follows `--` stays last. */
  command(...args: string[]): Promise<Outcome> {
    const end = args.includes('--') ? args.indexOf('--') : args.length;
    const all = [BIN, ...args.slice(0, end), '--data', this.data, ...args.slice(end)];
    return run(process.execPath, all, { cwd: this.parent, env: this.#environment() });
  }

  async up(...options: string[]): Promise<Outcome> {
    const outcome = await this.command(
      'up',
      '--detach',
      '--json',
      '--port',
      String(this.port),
      '--http-port',
      String(this.httpPort),
      ...options,
    );
    if (outcome.code === 0) this.#url = (await this.command('url')).stdout.trim();
    return outcome;
  }

  async status(): Promise<StatusDocument> {
    const response = await fetch(`http://127.0.0.1:${this.httpPort}/status`);
    return (await response.json()) as StatusDocument;
  }

  /** Waits for a status that fits. */
  async whenStatus(what: string, fits: (status: StatusDocument) => boolean, limitMs = 120_000): Promise<StatusDocument> {
    return until(
      what,
      async () => {
        const status = await this.status().catch(() => null);
        return status && fits(status) ? status : null;
      },
      limitMs,
    );
  }

  whenHealthy(limitMs = 120_000): Promise<StatusDocument> {
    return this.whenStatus('a healthy status', status => status.verdict === 'healthy', limitMs);
  }

  client(): pg.Client {
    const client = new pg.Client({ connectionString: this.#url });
    client.on('error', () => undefined);
    return client;
  }

  pool(max: number): pg.Pool {
    const pool = new pg.Pool({ connectionString: this.#url, max });
    pool.on('error', () => undefined);
    return pool;
  }

  /** Stops everything and removes the directory. */
  async destroy(): Promise<void> {
    const outcome = await this.command('down');
    if (outcome.code !== 0) throw new Error(`down ended with ${outcome.code}: ${outcome.stderr}`);
    rmSync(this.parent, { recursive: true, force: true });
  }

  #environment(): NodeJS.ProcessEnv {
    return { UNDERSTUDY_MEMBER_PORT: String(this.memberPort), NO_COLOR: '1' };
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/** The member that leads, with its pid. */
export function primaryOf(status: StatusDocument): StatusDocument['members'][number] {
  const primary = status.members.find(member => member.role === 'primary');
  if (!primary) throw new Error(`no primary: ${status.summary}`);
  return primary;
}
