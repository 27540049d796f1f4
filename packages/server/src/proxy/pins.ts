import type { SessionEffect } from '@understudy/core/sql';

/** State of a session that lives on its backend at the primary and cannot be made again elsewhere. A loss of the primary loses it. */
export type Pin =
  | 'temporary objects'
  | 'advisory locks'
  | 'cursors with hold'
  | 'statements prepared with SQL'
  | 'settings that cannot be known'
  | 'sequence values'
  | 'a random seed'
  | 'loaded libraries';

/** What an audit of the backend has found. */
export interface Findings {
  readonly pins: readonly Pin[];
  readonly channels: readonly string[];
  /** Every setting that was set in the session. */
  readonly settings: ReadonlyMap<string, string>;
  /** Of the settings of an application's own that were asked for, those that have a value. */
  readonly custom: ReadonlyMap<string, string>;
}

/** Some state can be seen by reads, which then stay with the primary. */
const SEEN_BY_READS: ReadonlySet<Pin> = new Set<Pin>([
  'temporary objects',
  'settings that cannot be known',
  'a random seed',
  'loaded libraries',
]);
/** What an audit of the backend cannot find out: the statement that makes it is believed. */
const NOT_AUDITED: ReadonlySet<Pin> = new Set<Pin>([
  'settings that cannot be known',
  'sequence values',
  'a random seed',
  'loaded libraries',
]);

/**
 * What ties a session to its backend. A statement that may make or drop such state leaves the session in doubt; an audit of the backend
 * at the end of the transaction settles it, so that state that rolled back, or was made or dropped inside a function, is seen as it is.
 */
export class Pins {
  readonly #pins = new Set<Pin>();
  /** Channels that the session listens on; they can be listened to again on a new primary. */
  #channels: ReadonlySet<string> = NO_CHANNELS;
  /** The backend must be asked before it can be shared again. */
  inDoubt = false;

  add(pin: Pin): void {
    this.#pins.add(pin);
  }

  /** Takes a statement's effect into account, at once and over-cautiously. */
  note(effect: SessionEffect): void {
    const held = this.holds;
    const pin = pinOf(effect);
    if (pin !== null) this.#pins.add(pin);
    if (effect.kind === 'listen') this.#channels = new Set([...this.#channels, effect.channel]);
    if (effect.kind === 'unlisten') {
      this.#channels = effect.channel === null ? NO_CHANNELS : new Set([...this.#channels].filter(c => c !== effect.channel));
    }
    if (effect.kind === 'discard') this.#discard(effect.target);
    const all = dropsAll(effect);
    if (all !== null) this.#pins.delete(all);
    if (pin !== null || effect.kind === 'listen' || (held && mayRelease(effect))) this.inDoubt = true;
  }

  #discard(target: 'all' | 'plans' | 'sequences' | 'temp'): void {
    switch (target) {
      case 'all': {
        this.#channels = NO_CHANNELS;
        const libraries = this.#pins.has('loaded libraries');
        this.#pins.clear();
        // A library stays loaded until the backend ends.
        if (libraries) this.#pins.add('loaded libraries');
        return;
      }
      case 'temp':
        this.#pins.delete('temporary objects');
        return;
      case 'sequences':
        this.#pins.delete('sequence values');
        return;
      case 'plans':
        return;
    }
  }

  /** The backend was asked. */
  settle(findings: Pick<Findings, 'pins' | 'channels'>): void {
    for (const pin of this.#pins) if (!NOT_AUDITED.has(pin)) this.#pins.delete(pin);
    for (const pin of findings.pins) this.#pins.add(pin);
    this.#channels = findings.channels.length === 0 ? NO_CHANNELS : new Set(findings.channels);
    this.inDoubt = false;
  }

  /** The session must stay on its backend. */
  get holds(): boolean {
    return this.#pins.size > 0 || this.#channels.size > 0;
  }

  get holdReads(): boolean {
    for (const pin of this.#pins) if (SEEN_BY_READS.has(pin)) return true;
    return false;
  }

  get channels(): ReadonlySet<string> {
    return this.#channels;
  }

  has(pin: Pin): boolean {
    return this.#pins.has(pin);
  }

  /** The backend is gone with all that it held. */
  drop(): void {
    this.#pins.clear();
    this.#channels = NO_CHANNELS;
    this.inDoubt = false;
  }

  /** The backend is gone. What was lost with it, for people; '' when nothing was. */
  takeLost(): string {
    const lost = [...this.#pins].join(', ');
    this.#pins.clear();
    this.inDoubt = false;
    return lost;
  }
}

const NO_CHANNELS: ReadonlySet<string> = new Set();

function pinOf(effect: SessionEffect): Pin | null {
  switch (effect.kind) {
    case 'temporary-object':
      return 'temporary objects';
    case 'advisory-lock':
      return effect.scope === 'session' ? 'advisory locks' : null;
    case 'prepare':
      return 'statements prepared with SQL';
    case 'declare-cursor':
      return effect.hold ? 'cursors with hold' : null;
    case 'read-sequence-state':
      return 'sequence values';
    case 'random-seed':
      return 'a random seed';
    case 'load':
      return 'loaded libraries';
    default:
      return null;
  }
}

/** What the effect drops every one of. */
function dropsAll(effect: SessionEffect): Pin | null {
  switch (effect.kind) {
    case 'advisory-unlock':
      return effect.all ? 'advisory locks' : null;
    case 'deallocate':
      return effect.name === null ? 'statements prepared with SQL' : null;
    case 'close-cursor':
      return effect.name === null ? 'cursors with hold' : null;
    default:
      return null;
  }
}

function mayRelease(effect: SessionEffect): boolean {
  switch (effect.kind) {
    case 'unlisten':
    case 'advisory-unlock':
    case 'deallocate':
    case 'close-cursor':
    case 'discard':
      return true;
    default:
      return false;
  }
}
