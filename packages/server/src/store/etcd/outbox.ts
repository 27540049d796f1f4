/**
 * Writes of one key, one at a time and always the newest: what is given while one is on its way waits, and a newer value takes its place. Whoever
 * gave a value that was replaced is answered when the newer one is there.
 */
export class Outbox<Value> {
  readonly #write: (value: Value) => Promise<void>;
  #running: Promise<void> | null = null;
  #next: { value: Value; done: Promise<void> } | null = null;

  constructor(write: (value: Value) => Promise<void>) {
    this.#write = write;
  }

  put(value: Value): Promise<void> {
    if (!this.#running) return this.#start(value);
    if (this.#next) {
      this.#next.value = value;
      return this.#next.done;
    }
    const next = { value, done: Promise.resolve() };
    next.done = this.#running.then(
      () => this.#startNext(),
      () => this.#startNext(),
    );
    this.#next = next;
    return next.done;
  }

  #startNext(): Promise<void> {
    const { value } = this.#next!;
    this.#next = null;
    return this.#start(value);
  }

  #start(value: Value): Promise<void> {
    const running = this.#write(value).finally(() => {
      if (this.#running === running) this.#running = null;
    });
    this.#running = running;
    return running;
  }
}
