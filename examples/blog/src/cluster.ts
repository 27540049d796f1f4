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
  /** Written (the primary) or replayed, in PostgreSQL's text form; null while it is not known. */
  readonly replayLsn: string | null;
}

function bytesOf(lsn: string | null): bigint {
  const [high = '0', low = '0'] = lsn?.split('/') ?? [];
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** A cluster of one's own, by Understudy's command. */
export class BlogCluster {
  readonly #data: string;
  #api = '';
  /** For the in-process client: servers by the cluster's HTTP API. */
  clientUrl = '';
  password = '';

  constructor(data: string) {
    this.#data = data;
  }

  async up(replicas: number): Promise<void> {
    const status = JSON.parse(await this.run('up', '--detach', '--json', '--replicas', String(replicas)));
    this.#api = status.endpoints.http;
    const router = new URL((await this.run('url')).trim());
    this.password = decodeURIComponent(router.password);
    this.clientUrl = `understudy://${router.username}:${router.password}@${new URL(status.endpoints.http).host}${router.pathname}`;
  }

  async members(): Promise<readonly Member[]> {
    const answer = await fetch(`${this.#api}/status`);
    return ((await answer.json()) as { members: readonly Member[] }).members;
  }

  /** The name of the primary; `nobody` while there is none. */
  async primary(): Promise<string> {
    return (await this.members()).find(member => member.role === 'primary')?.id ?? 'nobody';
  }

  /** How far each member has written (the primary) or replayed (a replica), in bytes of the WAL. */
  async walPositions(): Promise<ReadonlyMap<string, bigint>> {
    return new Map((await this.members()).map(({ id, replayLsn }) => [id, bytesOf(replayLsn)]));
  }

  async addReplica(): Promise<void> {
    await this.run('replica', 'add');
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
      // The command says in words what is wrong, and what to do.
      throw new Error((error as { stderr?: string }).stderr?.trim() || (error as Error).message, { cause: error });
    }
  }
}
