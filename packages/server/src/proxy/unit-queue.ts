import type { ClientUnit } from './client-unit.ts';
import { Deque } from './deque.ts';

/** Units that wait to be sent, in order, with the bytes that they hold in the proxy: what a server has already is not counted. */
export class UnitQueue {
  readonly #units = new Deque<ClientUnit>();
  #bytes = 0;

  get size(): number {
    return this.#units.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get head(): ClientUnit | undefined {
    return this.#units.peek();
  }

  get last(): ClientUnit | undefined {
    return this.#units.last();
  }

  /** A new unit, or more of the last one. */
  put(unit: ClientUnit): void {
    if (this.#units.last() !== unit) this.#units.push(unit);
    this.#count(unit, unit.bytes);
  }

  /** All that there is of the unit was sent or answered. */
  served(unit: ClientUnit): void {
    this.#count(unit, 0);
    if (unit.complete && this.#units.peek() === unit) this.#units.shift();
  }

  /** Units that will be sent once more, before all others. */
  putBack(units: readonly ClientUnit[]): void {
    for (const unit of units) {
      unit.sent = 0;
      this.#count(unit, unit.bytes);
    }
    this.#units.unshiftAll(units);
  }

  #count(unit: ClientUnit, bytes: number): void {
    this.#bytes += bytes - unit.waitingBytes;
    unit.waitingBytes = bytes;
  }
}
