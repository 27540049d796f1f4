import type { MemberId, MemberReport } from '@understudy/core/cluster';
import type { AgedReport } from './status-inputs.ts';

/** The newest report of each member, with the moment when it came. */
export class Hearing {
  readonly #heard = new Map<MemberId, { readonly report: MemberReport; readonly atMs: number; readonly agentEnded: boolean }>();

  note(report: MemberReport, atMs: number): void {
    this.#heard.set(report.id, { report, atMs, agentEnded: false });
  }

  /** The member's agent has ended: what it said is the last that is known, and nobody stands for it any more. */
  noteEnd(id: MemberId): void {
    const heard = this.#heard.get(id);
    if (heard) this.#heard.set(id, { ...heard, agentEnded: true });
  }

  forget(id: MemberId): void {
    this.#heard.delete(id);
  }

  reports(): ReadonlyMap<MemberId, MemberReport> {
    return new Map([...this.#heard].map(([id, { report }]) => [id, report]));
  }

  /** Of those who said something within this time, and whose agents have not ended since. */
  recent(nowMs: number, withinMs: number): ReadonlyMap<MemberId, MemberReport> {
    const isRecent = (heard: { readonly atMs: number; readonly agentEnded: boolean }): boolean =>
      !heard.agentEnded && nowMs - heard.atMs <= withinMs;
    return new Map([...this.#heard].flatMap(([id, heard]) => (isRecent(heard) ? [[id, heard.report] as const] : [])));
  }

  aged(nowMs: number): ReadonlyMap<MemberId, AgedReport> {
    return new Map([...this.#heard].map(([id, { report, atMs, agentEnded }]) => [id, { report, ageMs: nowMs - atMs, agentEnded }]));
  }
}
