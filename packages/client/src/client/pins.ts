import type { SessionEffect } from '@understudy/core/sql';

/**
 * State of a session that lives on its backend and cannot be made again elsewhere. It ties a client to that connection until it is released, and a
 * loss of the server loses it.
 */
export type Pin =
  | 'temporary objects'
  | 'advisory locks'
  | 'cursors with hold'
  | 'statements prepared with SQL'
  | 'settings of unknown name'
  | 'sequence values'
  | 'loaded libraries';

export class Pins {
  readonly #pins: Set<Pin> = new Set();
  /** Channels that the session listens on; they can be listened to again on a new primary. */
  readonly #channels: Set<string> = new Set();

  add(pin: Pin): void {
    this.#pins.add(pin);
  }

  /** Takes a statement's effect into account. Over-cautious: an effect that rolls back still counts, until the state is dropped as a whole. */
  note(effect: SessionEffect): void {
    switch (effect.kind) {
      case 'temporary-object':
        this.#pins.add('temporary objects');
        return;
      case 'advisory-lock':
        if (effect.scope === 'session') this.#pins.add('advisory locks');
        return;
      case 'advisory-unlock':
        if (effect.all) this.#pins.delete('advisory locks');
        return;
      case 'prepare':
        this.#pins.add('statements prepared with SQL');
        return;
      case 'deallocate':
        if (effect.name === null) this.#pins.delete('statements prepared with SQL');
        return;
      case 'declare-cursor':
        if (effect.hold) this.#pins.add('cursors with hold');
        return;
      case 'close-cursor':
        if (effect.name === null) this.#pins.delete('cursors with hold');
        return;
      case 'load':
        this.#pins.add('loaded libraries');
        return;
      case 'listen':
        this.#channels.add(effect.channel);
        return;
      case 'unlisten':
        if (effect.channel === null) this.#channels.clear();
        else this.#channels.delete(effect.channel);
        return;
      case 'discard':
        this.#discard(effect.target);
        return;
      default:
        return;
    }
  }

  #discard(target: 'all' | 'plans' | 'sequences' | 'temp'): void {
    if (target === 'all') {
      this.#channels.clear();
      const libraries = this.#pins.has('loaded libraries');
      this.#pins.clear();
      // A library stays loaded until the backend ends.
      if (libraries) this.#pins.add('loaded libraries');
    } else if (target === 'temp') this.#pins.delete('temporary objects');
  }

  get any(): boolean {
    return this.#pins.size > 0;
  }

  clearChannels(): void {
    if (this.#channels.size > 0) this.#channels.clear();
  }

  get channels(): ReadonlySet<string> {
    return this.#channels;
  }

  /** The backend is gone. What was lost with it, for people; '' when nothing was. */
  takeLost(): string {
    if (this.#pins.size === 0) return '';
    const lost = [...this.#pins].join(', ');
    this.#pins.clear();
    return lost;
  }
}
