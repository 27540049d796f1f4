import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BIN = fileURLToPath(new URL('../../../packages/server/bin/understudy.mjs', import.meta.url));

export interface Member {
  readonly id: string;
  readonly role: string;
  readonly host: string;
  readonly port: number;
  readonly postmasterPid: number | null;
}

/** A cluster of one's own, by Understudy's command. */
export class BlogCluster {
  readonly #data: string;
  /** For the in-process client: servers by the cluster's HTTP API. */
  clientUrl = '';
  password = '';

  constructor(data: string) {
    this.#data = data;
  }

  async up(replicas: number): Promise<void> {
    const status = JSON.parse(await this.run('up', '--detach', '--json', '--replicas', String(replicas)));
    const router = new URL((await this.run('url')).trim());
    this.password = decodeURIComponent(router.password);
    this.clientUrl = `understudy://${router.username}:${router.password}@${new URL(status.endpoints.http).host}${router.pathname}`;
  }

  async members(): Promise<readonly Member[]> {
    return JSON.parse(await this.run('status', '--json')).members as Member[];
  }

  async addReplica(): Promise<void> {
    await this.run('replica', 'add', '--json');
  }

  /** As a crash would: every process of the primary's PostgreSQL loses its head. */
  async killPrimary(): Promise<string> {
    const primary = (await this.members()).find(member => member.role === 'primary');
    if (primary?.postmasterPid) process.kill(primary.postmasterPid, 'SIGKILL');
    return primary?.id ?? 'nobody';
  }

  async down(): Promise<void> {
    await this.run('down');
  }

  async run(...args: string[]): Promise<string> {
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [BIN, ...args, '--data', this.#data], {
        env: { ...process.env, NO_COLOR: '1' },
      });
      return stdout;
    } catch (error) {
      // A cluster that is not quite healthy says so by its exit code, and tells its state all the same.
      const { stdout, code } = error as { stdout?: string; code?: number };
      if (args[0] === 'status' && stdout && (code === 3 || code === 4)) return stdout;
      throw error;
    }
  }
}
