import type { Contender, Phases } from './contender.ts';
import { OutageWriter, TABLE } from './writer.ts';

export interface Round {
  readonly fault: string;
  /** The longest time between two acknowledged writes; infinite when none came within OUTAGE_LIMIT_MS. */
  readonly outageMs: number;
  readonly phases: Phases;
}

export interface Measurement {
  readonly contender: string;
  readonly rounds: readonly Round[];
  readonly acknowledged: number;
  /**
   * Acknowledged rows that are missing in the end: of the writer behind the router, and of one that never leaves its primary. Null when it could not be
   * asked: it did not come back.
   */
  readonly lost: number | null;
  readonly lostPastTheRouter: number | null;
}

export interface Plan<F extends string> {
  readonly faults: readonly F[];
  readonly rounds: number;
  readonly onRound: (contender: string, round: Round) => void;
}

/** Writes have to flow for so long before a fault, and after its end before the next one. */
const STEADY_ROWS = 50;
export const OUTAGE_LIMIT_MS = 120_000;

class NoWrite extends Error {
  override readonly name = 'NoWrite';
}

/** All rounds of all faults on one fresh cluster; a cluster that takes no more writes ends its measurement with that round. */
export async function measure<F extends string>(contender: Contender<F>, plan: Plan<F>): Promise<Measurement> {
  await contender.start();
  const writer = new OutageWriter(1, () => contender.connect());
  const loyal: OutageWriter[] = [];
  try {
    const admin = await contender.connect();
    await admin.query(TABLE);
    await admin.end();
    writer.start();
    const rounds: Round[] = [];
    const acknowledged = (): number => [writer, ...loyal].reduce((sum, each) => sum + each.acknowledged.length, 0);
    for (const fault of plan.faults) {
      for (let i = 0; i < plan.rounds; i++) {
        await contender.whenReady();
        const round = await inflictOnce(contender, fault, writer, loyal).catch((error: Error): Round => {
          if (error instanceof NoWrite) return { fault, outageMs: Number.POSITIVE_INFINITY, phases: {} };
          throw error;
        });
        rounds.push(round);
        plan.onRound(contender.name, round);
        if (round.outageMs === Number.POSITIVE_INFINITY)
          return { contender: contender.name, rounds, acknowledged: acknowledged(), lost: null, lostPastTheRouter: null };
      }
    }
    await contender.whenReady();
    await Promise.all([writer, ...loyal].map(each => each.stop()));
    const auditor = await contender.connect();
    const lost = await writer.lost(auditor);
    let lostPastTheRouter = 0;
    for (const each of loyal) lostPastTheRouter += await each.lost(auditor);
    await auditor.end();
    return { contender: contender.name, rounds, acknowledged: acknowledged(), lost, lostPastTheRouter };
  } finally {
    // Not waited for: one may be in the middle of looking for a primary that never comes.
    for (const each of [writer, ...loyal]) void each.stop();
    await contender.stop();
  }
}

async function inflictOnce<F extends string>(
  contender: Contender<F>,
  fault: F,
  writer: OutageWriter,
  loyal: OutageWriter[],
): Promise<Round> {
  await moreRows(writer);
  const stubborn = new OutageWriter(100 + loyal.length, () => contender.connectToPrimary(), true);
  loyal.push(stubborn);
  stubborn.start();
  await moreRows(stubborn);
  const { atMs, undo } = await contender.inflict(fault);
  await writes(writer, atMs + 100);
  await moreRows(writer);
  const { ms, writableAtMs } = writer.outage(atMs);
  const phases = await contender.phases(atMs, writableAtMs);
  await undo();
  await moreRows(writer);
  return { fault, outageMs: ms, phases };
}

async function moreRows(writer: OutageWriter): Promise<void> {
  const aim = writer.acknowledged.length + STEADY_ROWS;
  await until(() => writer.acknowledged.length >= aim);
}

/** Waits until a row is acknowledged that was not before this moment. */
async function writes(writer: OutageWriter, afterMs: number): Promise<void> {
  await until(() => (writer.acknowledged.at(-1)?.atMs ?? 0) > afterMs);
}

async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + OUTAGE_LIMIT_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new NoWrite(`no write was acknowledged for ${OUTAGE_LIMIT_MS} ms`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
