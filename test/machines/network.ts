import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const RELAY = fileURLToPath(new URL('delay-relay.mjs', import.meta.url));
const FIRST_RELAY_PORT = 20_001;
/** Last byte of the address of a machine's relay, beyond that of the machine. */
const RELAYS_FROM = 100;

/** Which way packets are thrown away, seen from the machine where it happens. */
export type Direction = 'both' | 'out' | 'in';

/**
 * A network of this machine's own: a bridge, and a namespace for each "machine" on it. Needs root. Whatever happens to the test, a process of its own
 * (reaper.mjs) removes it all in the end.
 */
export class Network {
  readonly directory: string;
  /** First three bytes of all addresses. */
  readonly #subnet: string;
  readonly #prefix: string;
  readonly #reaper: ChildProcess;
  readonly #names = new Map<string, string>();
  readonly #relays = new Map<string, ChildProcess>();

  constructor() {
    this.#prefix = `us${process.pid}`;
    this.#subnet = `10.77.${1 + (process.pid % 250)}`;
    this.directory = mkdtempSync(join(tmpdir(), 'understudy-machines-'));
    // PostgreSQL's account must be able to pass through.
    chmodSync(this.directory, 0o755);
    const reaper = fileURLToPath(new URL('reaper.mjs', import.meta.url));
    this.#reaper = spawn(process.execPath, [reaper, this.#prefix, this.directory], {
      stdio: ['pipe', 'ignore', 'inherit'],
      detached: true,
    });
    ip('link', 'add', this.#prefix, 'type', 'bridge');
    ip('addr', 'add', `${this.#subnet}.254/24`, 'dev', this.#prefix);
    ip('link', 'set', this.#prefix, 'up');
  }

  address(number: number): string {
    return `${this.#subnet}.${number}`;
  }

  /** A machine with one address. */
  add(address: string): void {
    const namespace = `${this.#prefix}-${address.split('.').at(-1)}`;
    const [outside, inside] = [`v${namespace.slice(2)}`.slice(0, 15), 'eth0'];
    ip('netns', 'add', namespace);
    ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside, 'netns', namespace);
    ip('link', 'set', outside, 'master', this.#prefix);
    ip('link', 'set', outside, 'up');
    ip('-n', namespace, 'addr', 'add', `${address}/24`, 'dev', inside);
    ip('-n', namespace, 'link', 'set', inside, 'up');
    ip('-n', namespace, 'link', 'set', 'lo', 'up');
    this.#names.set(address, namespace);
    this.heal(address);
  }

  /** From now on packets between this machine and the others (all, when none are named) vanish without a trace, also those of open connections. */
  cut(address: string, others: readonly string[] | 'all', direction: Direction = 'both'): void {
    const rules: string[] = [];
    for (const [chain, side, device] of [
      ['out', 'daddr', 'oifname'],
      ['in', 'saddr', 'iifname'],
    ] as const) {
      if (direction !== 'both' && direction !== chain) continue;
      const which = others === 'all' ? '' : `ip ${side} { ${others.join(', ')} } `;
      rules.push(`add rule inet cut ${chain} ${device} eth0 ${which}drop`);
    }
    this.#nft(address, rules);
  }

  /** Takes all cuts of this machine back. */
  heal(address: string): void {
    this.#nft(address, [
      'add table inet cut',
      'flush table inet cut',
      'add chain inet cut out { type filter hook output priority 0; }',
      'add chain inet cut in { type filter hook input priority 0; }',
    ]);
  }

  /** Throws away so many of a hundred packets that leave this machine. */
  lose(address: string, percent: number): void {
    this.#nft(address, [`add rule inet cut out oifname eth0 numgen random mod 100 < ${percent} drop`]);
  }

  /**
   * From now on what this machine sends to those ports of others takes so long, and what they answer, too; connections that were open are reset. This kernel
   * need not have netem: what is sent is led through a relay on the machine.
   */
  async delay(address: string, others: readonly string[], ports: readonly number[], delayMs: number): Promise<void> {
    const own = this.#relayAddress(address);
    const routes = others.filter(other => other !== address).flatMap(host => ports.map(port => ({ host, port })));
    const at = (index: number): number => FIRST_RELAY_PORT + index;
    const command = routes.map(({ host, port }, i) => `${at(i)}=${host}:${port}`);
    ip('-n', this.#namespace(address), 'addr', 'add', `${own}/24`, 'dev', 'eth0');
    const relay = this.spawn(address, [process.execPath, RELAY, String(delayMs), own, ...command], { cwd: this.directory, log: 'pipe' });
    await once(relay.stdout!, 'data');
    this.#relays.set(address, relay);
    this.#nft(address, [
      'add table ip delay',
      'add chain ip delay out { type nat hook output priority -100; }',
      ...routes.flatMap(({ host, port }, i) => [
        `add rule ip delay out ip saddr != ${own} ip daddr ${host} tcp dport ${port} redirect to :${at(i)}`,
        `add rule inet cut out ip saddr != ${own} ip daddr ${host} tcp dport ${port} reject with tcp reset`,
      ]),
    ]);
  }

  /** Takes the delay of this machine back; connections that were open end. */
  async undelay(address: string): Promise<void> {
    const relay = this.#relays.get(address);
    if (!relay) return;
    this.#relays.delete(address);
    this.#nft(address, ['delete table ip delay']);
    const ended = once(relay, 'exit');
    relay.kill('SIGKILL');
    await ended;
    ip('-n', this.#namespace(address), 'addr', 'del', `${this.#relayAddress(address)}/24`, 'dev', 'eth0');
  }

  #relayAddress(address: string): string {
    return this.address(RELAYS_FROM + Number(address.split('.').at(-1)));
  }

  /** Starts a program on a machine. */
  spawn(
    address: string,
    command: readonly string[],
    options: { cwd: string; log: number | 'pipe'; env?: NodeJS.ProcessEnv },
  ): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.#namespace(address), ...command], {
      cwd: options.cwd,
      stdio: ['ignore', options.log, options.log],
      env: { ...process.env, NO_COLOR: '1', ...options.env },
    });
  }

  /** All processes of a machine get the signal at once: SIGKILL is its loss, SIGSTOP its hang. */
  signalAll(address: string, signal: NodeJS.Signals): void {
    const pids = ip('netns', 'pids', this.#namespace(address)).split('\n').filter(Boolean).map(Number);
    for (const pid of pids) {
      try {
        process.kill(pid, signal);
      } catch {
        // It is gone.
      }
    }
  }

  /** Removes everything; resolves when it is done. */
  async remove(): Promise<void> {
    const done = new Promise(resolve => this.#reaper.once('exit', resolve));
    this.#reaper.stdin!.end();
    await done;
  }

  #namespace(address: string): string {
    const name = this.#names.get(address);
    if (!name) throw new Error(`there is no machine ${address}`);
    return name;
  }

  #nft(address: string, commands: readonly string[]): void {
    const { status, stderr } = spawnSync('ip', ['netns', 'exec', this.#namespace(address), 'nft', '-f', '-'], {
      input: `${commands.join('\n')}\n`,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`nft on ${address}: ${stderr}`);
  }
}

function ip(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
  return stdout;
}
