/** What happens when, earliest first: a binary heap of times with a value each. */
export class Agenda<T> {
  readonly #times: number[] = [];
  readonly #values: T[] = [];

  get size(): number {
    return this.#times.length;
  }

  get nextMs(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY;
  }

  add(atMs: number, value: T): void {
    let at = this.#times.push(atMs) - 1;
    this.#values.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] as number) <= atMs) break;
      this.#swap(at, parent);
      at = parent;
    }
  }

  take(): T | undefined {
    const first = this.#values[0];
    const time = this.#times.pop();
    const value = this.#values.pop();
    if (time === undefined || this.#times.length === 0) return first;
    this.#times[0] = time;
    this.#values[0] = value as T;
    this.#sink();
    return first;
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      const left = at * 2 + 1;
      const right = left + 1;
      let least = at;
      if (left < this.#times.length && (this.#times[left] as number) < (this.#times[least] as number)) least = left;
      if (right < this.#times.length && (this.#times[right] as number) < (this.#times[least] as number)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const time = this.#times[a] as number;
    this.#times[a] = this.#times[b] as number;
    this.#times[b] = time;
    const value = this.#values[a] as T;
    this.#values[a] = this.#values[b] as T;
    this.#values[b] = value;
  }
}
