import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { type Account, chooseAccount } from '../../packages/server/src/postgres/account.ts';
import { freePort } from './cluster.ts';

export const DEBIAN_BIN = '/usr/lib/postgresql/15/bin';
export const PASSWORD = 'chosen by the operator';

/** A server as people set it up: initdb or pg_basebackup, files to edit, pg_ctl. */
export interface HandMadeServer {
  readonly name: string;
  readonly port: number;
  readonly data: string;
  /** Where postgresql.conf and pg_hba.conf are: as Debian has it, apart from the data; or with it. */
  readonly config: string;
}

const HBA = `local all postgres peer
host  shop app 127.0.0.1/32 scram-sha-256
host  shop legacy 127.0.0.1/32 md5
host  replication copier 127.0.0.1/32 scram-sha-256
`;

/** A primary with streaming replicas that Understudy has nothing to do with. */
export class HandMadeCluster {
  readonly directory: string;
  readonly #account: Account | null;

  private constructor(account: Account | null) {
    this.directory = mkdtempSync(join(tmpdir(), 'understudy-adopt-'));
    this.#account = account;
    chmodSync(this.directory, 0o755);
  }

  static async prepare(): Promise<HandMadeCluster> {
    return new HandMadeCluster(await chooseAccount());
  }

  async primary(name: string): Promise<HandMadeServer> {
    const server = await this.#place(name, 'debian');
    this.#run(
      'initdb',
      '-D',
      server.data,
      '-U',
      'postgres',
      '--auth=peer',
      '--no-instructions',
      '--no-sync',
      '--locale=C',
      '--encoding=UTF8',
    );
    this.#configure(server, 'synchronous_commit = on\nshared_buffers = 32MB\nmax_connections = 60\n');
    this.start(server);
    await this.asSuperuser(server, async client => {
      await client.query(`create role copier login replication password '${PASSWORD}'`);
      await client.query(`create role app login password '${PASSWORD}'`);
      await client.query(`set password_encryption = 'md5'`);
      await client.query(`create role legacy login password '${PASSWORD}'`);
      await client.query('create database shop owner app');
    });
    return server;
  }

  /** With a slot of its own on the primary. */
  async replica(name: string, primary: HandMadeServer, layout: 'debian' | 'plain'): Promise<HandMadeServer> {
    const server = await this.#place(name, layout);
    await this.asSuperuser(primary, client => client.query('select pg_create_physical_replication_slot($1)', [name]));
    const source = `host=127.0.0.1 port=${primary.port} user=copier password='${PASSWORD}' application_name=${name}`;
    this.#run('pg_basebackup', '-D', server.data, '-d', source, '-R', '--slot', name, '--checkpoint=fast', '--no-sync');
    this.#configure(server, 'shared_buffers = 32MB\nmax_connections = 60\n');
    this.start(server);
    return server;
  }

  start({ data, config, port }: HandMadeServer): void {
    const options = `-c config_file=${join(config, 'postgresql.conf')} -p ${port}`;
    this.#run('pg_ctl', 'start', '-w', '-D', data, '-o', options, '-l', `${data}.log`);
  }

  stop({ data }: HandMadeServer): void {
    this.#run('pg_ctl', 'stop', '-w', '-m', 'fast', '-D', data);
  }

  /** By peer, as somebody who is logged in as postgres. */
  async asSuperuser<T>({ config, port }: HandMadeServer, use: (client: pg.Client) => Promise<T>): Promise<T> {
    const gid = process.getegid!();
    const client = new pg.Client({ host: dirname(config), port, user: 'postgres', database: 'postgres' });
    if (this.#account) {
      process.setegid!(this.#account.gid);
      process.seteuid!(this.#account.uid);
    }
    // connect(2) is called before this returns, and the kernel notes who calls it.
    const connected = client.connect();
    if (this.#account) {
      process.seteuid!(0);
      process.setegid!(gid);
    }
    try {
      await connected;
      return await use(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  pid({ data }: HandMadeServer): number {
    return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #place(name: string, layout: 'debian' | 'plain'): Promise<HandMadeServer> {
    const home = join(this.directory, name);
    const data = join(home, 'data');
    const config = layout === 'debian' ? join(home, 'etc') : data;
    mkdirSync(home);
    this.#give(home);
    return { name, port: await freePort(), data, config };
  }

  #configure({ data, config }: HandMadeServer, settings: string): void {
    const isApart = config !== data;
    if (isApart) {
      mkdirSync(config);
      this.#give(config);
      rmSync(join(data, 'pg_hba.conf'), { force: true });
      this.#write(join(config, 'start.conf'), '# auto, manual or disabled\nauto\n');
    }
    const files = isApart ? `data_directory = '${data}'\nhba_file = '${config}/pg_hba.conf'\nident_file = '${config}/pg_ident.conf'\n` : '';
    const common = `listen_addresses = 'localhost, 127.0.0.1'\nunix_socket_directories = '${dirname(config)}'\nwal_level = replica\n`;
    this.#write(join(config, 'postgresql.conf'), `${files}${common}${settings}`);
    this.#write(join(config, 'pg_hba.conf'), HBA);
    this.#write(join(config, 'pg_ident.conf'), '');
    if (isApart) rmSync(join(data, 'postgresql.conf'), { force: true });
  }

  #write(path: string, text: string): void {
    writeFileSync(`${path}.new`, text, { mode: 0o640 });
    this.#give(`${path}.new`);
    renameSync(`${path}.new`, path);
  }

  #give(path: string): void {
    if (this.#account) chownSync(path, this.#account.uid, this.#account.gid);
  }

  #run(program: string, ...args: string[]): void {
    const as = this.#account ? { uid: this.#account.uid, gid: this.#account.gid } : {};
    const done = spawnSync(join(DEBIAN_BIN, program), args, { ...as, cwd: '/', encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
    if (done.status !== 0) throw new Error(`${program} ended with ${done.status}: ${done.stderr}`);
  }
}
