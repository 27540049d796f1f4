import type { MemberId, MemberReport } from '@understudy/core/cluster';
import type { AgedReport } from './status.ts';

/** The newest report of each member, with the moment when it came. */
export class Hearing {
  readonly #heard = new Map<MemberId, { readonly report: MemberReport; readonly atMs: number }>();

  note(report: MemberReport, atMs: number): void {
    this.#heard.set(report.id, { report, atMs });
  }

  forget(id: MemberId): void {
    this.#heard.delete(id);
  }

  reports(): ReadonlyMap<MemberId, MemberReport> {
    return new Map([...this.#heard].map(([id, { report }]) => [id, report]));
  }

  aged(nowMs: number): ReadonlyMap<MemberId, AgedReport> {
    return new Map([...this.#heard].map(([id, { report, atMs }]) => [id, { report, ageMs: nowMs - atMs }]));
  }
}
