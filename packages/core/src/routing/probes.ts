/**
 * Numbered questions to a server ("where are you now?"), of which an answer speaks for everything that had happened before the question was
 * sent. So one question under way at a time serves every session: what happens now is covered by the answer to the next question sent, number `sent + 1`.
 */
export interface Probes {
  /** Number of the last question sent. */
  sent: number;
  /** Number of the last question answered; answers come in order on one connection. */
  answered: number;
}

export function newProbes(): Probes {
  return { sent: 0, answered: 0 };
}

/** A mark for "now": covered once the question of this number is answered. */
export function markNow(probes: Probes): number {
  return probes.sent + 1;
}

export function isCovered(probes: Probes, mark: number): boolean {
  return probes.answered >= mark;
}

/** Notes that a question is sent and returns its number. */
export function probeSent(probes: Probes): number {
  return ++probes.sent;
}

/** Notes the answer to question `number`. */
export function probeAnswered(probes: Probes, number: number): void {
  if (number > probes.answered) probes.answered = number;
}

/** The connection broke: the questions under way will not be answered. Their marks are covered by the next one that is. */
export function probesLost(probes: Probes): void {
  // Numbers never go back, so that a mark taken before stays below the number of the next question.
  if (probes.sent > probes.answered) probes.sent = Math.max(probes.sent, probes.answered);
}
