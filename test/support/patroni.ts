import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PATRONI_FLOOR, patroniConfig, type PatroniNode } from '../../bench/failover/patroni-config.ts';
import { type Account, chooseAccount } from '../../packages/server/src/postgres/account.ts';
import { serverProcesses } from '../../packages/server/src/postgres/processes.ts';
import { freePort } from './cluster.ts';
import { type Outcome, run } from './program.ts';
import { until } from './wait.ts';

interface Node extends PatroniNode {
  agent: ChildProcess;
  readonly file: string;
}

/** Debian's Patroni with members on this machine. */
export class PatroniCluster {
  readonly directory: string;
  readonly nodes: Node[] = [];
  readonly #account: Account | null;

  private constructor(account: Account | null) {
    this.directory = mkdtempSync(join(tmpdir(), 'understudy-patroni-'));
    this.#account = account;
    this.#give(this.directory);
  }

  /** `etcd`: host:port. Returns when the last of them streams. */
  static async start(etcd: string, names: readonly string[]): Promise<PatroniCluster> {
    const cluster = new PatroniCluster(await chooseAccount());
    for (const name of names) {
      await cluster.#add(etcd, name);
      await cluster.whenState(name, /^(running|streaming)$/);
    }
    return cluster;
  }

  /** As Patroni's REST API of this member tells it. */
  async whenState(name: string, state: RegExp): Promise<void> {
    const node = this.nodes.find(each => each.name === name)!;
    await until(
      `${name} in ${state}`,
      async () => {
        const answer = await fetch(`http://127.0.0.1:${node.restPort}/cluster`).catch(() => null);
        const { members } = answer?.ok ? ((await answer.json()) as { members: { name: string; state: string }[] }) : { members: [] };
        return state.test(members.find(member => member.name === name)?.state ?? '') ? true : null;
      },
      60_000,
    );
  }

  /** patronictl, as somebody types it. */
  control(...args: string[]): Promise<Outcome> {
    return run('patronictl', ['-c', this.nodes[0]!.file, ...args], { env: { LC_ALL: 'C.UTF-8' } });
  }

  /** Ends Patroni on every node, as systemctl stop does. */
  async stopPatroni(): Promise<void> {
    await Promise.all(
      this.nodes.map(async ({ agent }) => {
        if (agent.exitCode !== null || agent.signalCode !== null) return;
        const ended = new Promise(resolve => agent.once('exit', resolve));
        agent.kill('SIGTERM');
        await ended;
      }),
    );
  }

  async remove(): Promise<void> {
    for (const { agent, directory } of this.nodes) {
      agent.kill('SIGKILL');
      for (const { pid } of await serverProcesses(join(directory, 'data'))) process.kill(pid, 'SIGKILL');
    }
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async #add(etcd: string, name: string): Promise<void> {
    const directory = join(this.directory, name);
    mkdirSync(directory);
    this.#give(directory);
    const node = { name, host: '127.0.0.1', port: await freePort(), restPort: await freePort(), directory };
    const file = join(directory, 'patroni.json');
    writeFileSync(file, JSON.stringify(patroniConfig(node, [etcd], PATRONI_FLOOR)));
    const log = openSync(join(directory, 'patroni.log'), 'a');
    const as = this.#account ? { uid: this.#account.uid, gid: this.#account.gid } : {};
    const agent = spawn('patroni', [file], { ...as, cwd: directory, stdio: ['ignore', log, log] });
    closeSync(log);
    this.nodes.push({ ...node, file, agent });
  }

  #give(path: string): void {
    if (this.#account) chownSync(path, this.#account.uid, this.#account.gid);
  }
}
