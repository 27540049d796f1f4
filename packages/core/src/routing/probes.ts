/**
 * Numbered questions to a server ("where are you now?"), of which an answer speaks for everything that had happened before the question was
 * sent. One question under way at a time serves every session: what happens now is covered by the answer to the next question sent, number `sent + 1`.
 * A plain record, changed in place by the functions below.
 */
export interface Probes {
  /** Number of the last question sent. */
  sent: number;
  /** Number of the last question answered. */
  answered: number;
}

export function newProbes(): Probes {
  return { sent: 0, answered: 0 };
}

/** A mark for "now": covered once the question of this number, or a later one, is answered. */
export function markNow(probes: Probes): number {
  return probes.sent + 1;
}

export function isCovered(probes: Probes, mark: number): boolean {
  return probes.answered >= mark;
}

/** Notes that a question is sent and returns its number. A question whose connection broke is simply never answered: send another. */
export function probeSent(probes: Probes): number {
  probes.sent++;
  return probes.sent;
}

/** Notes the answer to question `number`. */
export function probeAnswered(probes: Probes, number: number): void {
  if (number > probes.answered) probes.answered = number;
}
