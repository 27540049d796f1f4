import type { MemberId, Sight } from '../../src/cluster/index.ts';
import { type Attempts, lookoutFor, lookoutTimes, noteAttempt, sightOf, type View } from '../../src/failover/index.ts';
import type { SimAgent } from './agent.ts';

/** How an agent finds out whom it reaches: one attempt to connect after the other, each with its limit. */
export class SimLookout {
  readonly #agent: SimAgent;
  #attempts = new Map<MemberId, Attempts>();
  #isLooking = false;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  heardAtMs = 0;

  constructor(agent: SimAgent) {
    this.#agent = agent;
  }

  reset(): void {
    this.#attempts = new Map();
    this.#isLooking = false;
    this.heardAtMs = this.#agent.mono;
  }

  get silentMs(): number {
    const { mono, seen } = this.#agent;
    return mono - Math.max(this.heardAtMs, seen.ruleAtMs);
  }

  get sight(): Sight | null {
    return this.#isLooking ? sightOf(this.silentMs, this.#attempts) : null;
  }

  look(view: View): void {
    const { world, mono } = this.#agent;
    const others = lookoutFor(view, this.silentMs, mono);
    this.#isLooking = others.length > 0;
    if (!this.#isLooking) this.#attempts = new Map();
    const { intervalMs } = lookoutTimes(world.config);
    if (!this.#isLooking || mono - this.#triedAtMs < intervalMs) return;
    this.#triedAtMs = mono;
    for (const other of others) this.#try(other);
  }

  #try(other: MemberId): void {
    const agent = this.#agent;
    const { world, life } = agent;
    const passes = (): boolean => world.network.bothWays(agent.id, other);
    const tookMs = world.random.between(0.3, 3) + 2 * world.network.slowMs;
    const { limitMs } = lookoutTimes(world.config);
    const isLost = !passes() || tookMs > limitMs;
    world.events.after(isLost ? limitMs : tookMs, () => {
      if (agent.life !== life || !agent.well || !this.#isLooking) return;
      // The kernel takes connections for a process that is stopped, too.
      const isThere = world.servers.get(other)!.process !== 'down';
      const outcome = isLost || !passes() ? 'lost' : isThere ? 'reached' : 'refused';
      this.#attempts.set(other, noteAttempt(this.#attempts.get(other), outcome));
      agent.poke();
    });
  }
}
