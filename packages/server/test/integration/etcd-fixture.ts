import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** etcd of Debian: a cluster of as many nodes as are wanted, on free ports of this machine. */
export class EtcdCluster {
  readonly endpoints: readonly string[];
  readonly #directory: string;
  readonly #arguments: readonly (readonly string[])[];
  readonly #nodes: (ChildProcess | null)[];

  private constructor(directory: string, ports: readonly (readonly [number, number])[]) {
    this.#directory = directory;
    this.endpoints = ports.map(([client]) => `http://127.0.0.1:${client}`);
    const all = ports.map(([, peer], i) => `e${i}=http://127.0.0.1:${peer}`).join(',');
    this.#arguments = ports.map(([client, peer], i) =>
      Object.entries({
        name: `e${i}`,
        'data-dir': join(directory, `e${i}`),
        logger: 'zap',
        'log-level': 'error',
        'listen-client-urls': `http://127.0.0.1:${client}`,
        'advertise-client-urls': `http://127.0.0.1:${client}`,
        'listen-peer-urls': `http://127.0.0.1:${peer}`,
        'initial-advertise-peer-urls': `http://127.0.0.1:${peer}`,
        'initial-cluster': all,
        'initial-cluster-state': 'new',
      }).map(([name, value]) => `--${name}=${value}`),
    );
    this.#nodes = ports.map(() => null);
  }

  static async start(size: number): Promise<EtcdCluster> {
    const ports: [number, number][] = [];
    for (let i = 0; i < size; i++) ports.push([await freePort(), await freePort()]);
    const cluster = new EtcdCluster(mkdtempSync(join(tmpdir(), 'understudy-etcd-')), ports);
    ports.forEach((_, i) => cluster.startNode(i));
    await cluster.whenHealthy();
    return cluster;
  }

  startNode(i: number): void {
    this.#nodes[i] = spawn('etcd', [...this.#arguments[i]!], { stdio: 'ignore' });
  }

  /** Sends a signal: SIGSTOP makes a node hang, SIGKILL takes it away. */
  async signal(i: number, signal: NodeJS.Signals): Promise<void> {
    const node = this.#nodes[i];
    if (!node) return;
    const ended = signal === 'SIGKILL' ? new Promise(resolve => node.once('exit', resolve)) : null;
    node.kill(signal);
    await ended;
    if (ended) this.#nodes[i] = null;
  }

  /** Any request of the JSON gateway, at one node. */
  async ask(i: number, path: string, body: object): Promise<{ [key: string]: unknown }> {
    const answer = await fetch(`${this.endpoints[i]}/v3/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    });
    return (await answer.json()) as { [key: string]: unknown };
  }

  async whenHealthy(limitMs = 30_000): Promise<void> {
    const end = performance.now() + limitMs;
    for (const [i, endpoint] of this.endpoints.entries()) {
      if (!this.#nodes[i]) continue;
      for (;;) {
        const answer = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
        if (answer && ((await answer.json()) as { health: string }).health === 'true') break;
        if (performance.now() > end) throw new Error(`${endpoint} was not healthy within ${limitMs} ms`);
        await new Promise(resolve => setTimeout(resolve, 20));
      }
    }
  }

  async stop(): Promise<void> {
    for (const i of this.#nodes.keys()) await this.signal(i, 'SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}
