import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('clock.c', import.meta.url));
const POSTGRES = '/usr/lib/postgresql/15/bin';

/**
 * A clock of its own for each machine, which can be set (see clock.c): for the agent, which is Node.js, and for PostgreSQL. Needs a C compiler and Debian's
 * PostgreSQL.
 */
export class Clocks {
  readonly #directory: string;

  /** `directory`: for the programs and the clocks; PostgreSQL's account can read in it. */
  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { mode: 0o755 });
    const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O2', '-o', this.#library, SOURCE], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`the clock could not be compiled: ${stderr}`);
  }

  /** Whether this system has what it takes. */
  static get canBe(): boolean {
    return existsSync(POSTGRES) && spawnSync('cc', ['--version']).status === 0;
  }

  /** What the programs of this machine are started with. */
  environment(address: string): NodeJS.ProcessEnv {
    if (!existsSync(this.#file(address))) this.set(address, 0);
    return { ...this.#preload(address), UNDERSTUDY_PROVIDER: 'system', UNDERSTUDY_BIN_DIR: this.#programs(address) };
  }

  /** So far is the machine's clock ahead of the others, or behind. */
  set(address: string, aheadMs: number): void {
    const offset = Buffer.alloc(8);
    offset.writeBigInt64LE(BigInt(aheadMs) * 1000n);
    // In place: the programs have mapped the file.
    writeFileSync(this.#file(address), offset, { flag: existsSync(this.#file(address)) ? 'r+' : 'w', mode: 0o644 });
  }

  get #library(): string {
    return join(this.#directory, 'clock.so');
  }

  #file(address: string): string {
    return join(this.#directory, `${address}.clock`);
  }

  #preload(address: string): Record<string, string> {
    return { LD_PRELOAD: this.#library, MACHINE_CLOCK: this.#file(address) };
  }

  /** The agent hands PostgreSQL no environment of its own, so that its programs are given here one that sets it. */
  #programs(address: string): string {
    const directory = join(this.#directory, `${address}-bin`);
    if (existsSync(directory)) return directory;
    mkdirSync(directory, { mode: 0o755 });
    for (const name of readdirSync(POSTGRES)) if (name !== 'postgres') symlinkSync(join(POSTGRES, name), join(directory, name));
    const wrapper = join(directory, 'postgres');
    const settings = Object.entries(this.#preload(address)).map(([name, value]) => `${name}='${value}'`);
    writeFileSync(wrapper, `#!/bin/sh\nexport ${settings.join(' ')}\nexec ${POSTGRES}/postgres "$@"\n`);
    chmodSync(wrapper, 0o755);
    return directory;
  }
}
