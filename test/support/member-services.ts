import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { StatusDocument } from '../../packages/server/src/api/types.ts';
import { createAuthority, issueMachineCertificate } from '../../packages/server/src/certificates/authority.ts';
import { createSecrets, type Secrets } from '../../packages/server/src/supervisor/secrets.ts';
import { BIN, freePort } from './cluster.ts';
import { type Outcome, outcomeOf, run } from './program.ts';
import { until } from './wait.ts';

/** One machine's member: its file, and its service while it runs. */
export class MemberService {
  readonly name: string;
  readonly file: string;
  readonly data: string;
  readonly port: number;
  readonly #httpPort: number;
  readonly #secrets: Secrets;
  #service: ChildProcess | null = null;
  #ended: Promise<Outcome> | null = null;

  constructor(options: { name: string; file: string; data: string; port: number; httpPort: number; secrets: Secrets }) {
    this.name = options.name;
    this.file = options.file;
    this.data = options.data;
    this.port = options.port;
    this.#httpPort = options.httpPort;
    this.#secrets = options.secrets;
  }

  /** Of the cluster's own superuser, and of operations. */
  get secrets(): Secrets {
    return this.#secrets;
  }

  get ended(): Promise<Outcome> | null {
    return this.#ended;
  }

  adopt(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
    return run(process.execPath, this.#adoption(args), { env: { NO_COLOR: '1', ...env } });
  }

  /** Kills an adoption the moment it says what it does. */
  async adoptCutOff(): Promise<void> {
    const child = spawn(process.execPath, this.#adoption([]));
    child.stderr.once('data', () => child.kill('SIGKILL'));
    await outcomeOf(child, '', 60_000);
  }

  start(): void {
    this.#service = spawn(process.execPath, [BIN, 'member', '--config', this.file], { env: { ...process.env, NO_COLOR: '1' } });
    this.#ended = outcomeOf(this.#service, '', 600_000);
  }

  async stop(): Promise<void> {
    this.#service?.kill('SIGTERM');
    await this.#ended;
    this.#service = null;
  }

  /** An operation, asked of this machine. */
  operate(...args: string[]): Promise<Outcome> {
    const env = { NO_COLOR: '1', UNDERSTUDY_TOKEN: this.#secrets.token };
    return run(process.execPath, [BIN, ...args, '--url', `http://127.0.0.1:${this.#httpPort}`], { env });
  }

  /** Waits for a status, as this machine tells it, that fits. */
  whenStatus(what: string, fits: (status: StatusDocument) => boolean): Promise<StatusDocument> {
    return until(
      what,
      async () => {
        const answer = await fetch(`http://127.0.0.1:${this.#httpPort}/status`).catch(() => null);
        const status = answer ? ((await answer.json()) as StatusDocument) : null;
        return status && fits(status) ? status : null;
      },
      60_000,
    );
  }

  #adoption(args: readonly string[]): string[] {
    return [BIN, 'adopt', '--config', this.file, '--pgdata', this.data, ...args];
  }
}

type Programs = { readonly provider: 'embedded' } | { readonly provider: 'system'; readonly binDir: string };

/** Members on one machine, as files of several say it: those of `understudy init` without certificates. */
export class MemberServices {
  readonly #directory: string;
  readonly #etcd: readonly string[];
  readonly #programs: Programs;
  readonly #secrets: Secrets;

  #machineTls: object | null = null;

  /** `superuserRole`: Understudy's own. */
  constructor(directory: string, etcd: readonly string[], programs: Programs, superuserRole: string) {
    this.#directory = directory;
    this.#etcd = etcd;
    this.#programs = programs;
    this.#secrets = createSecrets(join(directory, 'secrets.json'), superuserRole);
  }

  /** Members know each other by certificates, as `understudy init` writes them. */
  async useTls(): Promise<void> {
    const at = (name: string): string => join(this.#directory, name);
    const authority = await createAuthority('shop', Date.now());
    const { cert, key } = await issueMachineCertificate(authority, '127.0.0.1', Date.now());
    writeFileSync(at('ca.crt'), authority.cert);
    writeFileSync(at('machine.crt'), cert);
    writeFileSync(at('machine.key'), key, { mode: 0o600 });
    this.#machineTls = { ca: at('ca.crt'), cert: at('machine.crt'), key: at('machine.key') };
  }

  /** Writes the file of a member for a server that runs there; null: Understudy is to make it. `more`: settings beside the usual ones, or in place of them. */
  async write(name: string, server: { readonly data: string; readonly port: number } | null, more: object = {}): Promise<MemberService> {
    const home = join(this.#directory, name);
    mkdirSync(home, { mode: 0o755 });
    const [httpPort, port] = [await freePort(), server?.port ?? (await freePort())];
    const data = server?.data ?? join(home, 'understudy', 'members', name, 'data');
    const file = join(home, 'member.yaml');
    const settings = {
      cluster: 'shop',
      name,
      data: join(home, 'understudy'),
      host: '127.0.0.1',
      memberPort: port,
      httpPort,
      secrets: join(this.#directory, 'secrets.json'),
      etcd: { endpoints: this.#etcd },
      ...this.#programs,
      ...(this.#machineTls ? { machineTls: this.#machineTls } : {}),
      postgres: { work_mem: '5MB' },
      ...more,
    };
    writeFileSync(file, stringify(settings));
    return new MemberService({ name, file, data, port, httpPort, secrets: this.#secrets });
  }
}
