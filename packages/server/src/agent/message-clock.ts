/** What PostgreSQL says of the last message that a walreceiver got, by the server's own clock. */
export interface MessageReceipt {
  /** Process of the walreceiver. */
  readonly pid: number;
  /** The moment, as it is written; null: none yet. */
  readonly receivedAt: string | null;
  /** Its age by the server's clock, which may have been set since then. */
  readonly ageMs: number;
}

/**
 * How old the last message of a walreceiver is, by a monotonic clock. PostgreSQL knows the moment by a clock that may be set; what it wrote down then tells
 * by its change alone that something came since the look before, and a clock may at most place it between the two looks.
 */
export class MessageClock {
  #known: { readonly pid: number; readonly receivedAt: string } | null = null;
  #heardAtMs = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** To be told of each look in turn; `receipt` null: there was no walreceiver. Returns the age in milliseconds, infinite when there is no message. */
  note(receipt: MessageReceipt | null, nowMs: number): number {
    const sinceLookMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    if (!receipt || receipt.receivedAt === null) {
      this.#known = null;
      return Number.POSITIVE_INFINITY;
    }
    const { pid, receivedAt, ageMs } = receipt;
    if (this.#known?.pid !== pid || this.#known.receivedAt !== receivedAt) {
      this.#known = { pid, receivedAt };
      this.#heardAtMs = nowMs - Math.min(Math.max(0, ageMs), sinceLookMs);
    }
    return nowMs - this.#heardAtMs;
  }
}
