import type pg from 'pg';

/** What is done to the primary. */
export const FAULTS = ['crash', 'loss', 'hang'] as const;
export type Fault = (typeof FAULTS)[number];

export const FAULT_TEXTS: Readonly<Record<Fault, string>> = {
  crash: 'postmaster killed (SIGKILL)',
  loss: 'agent and all of PostgreSQL killed together',
  hang: 'all of PostgreSQL stopped (SIGSTOP), continued later',
};

/** The milliseconds of one failover's steps, as its own records tell them; empty for a system that keeps none. */
export type Phases = Readonly<Record<string, number>>;

/** A fault that has been done to a cluster. */
export interface Inflicted {
  /** Wall clock, right before the first signal. */
  readonly atMs: number;
  /** What a machine that comes back does: stopped processes go on, a killed agent is started again. */
  undo(): Promise<void>;
}

/** One high-availability system under test: three members, synchronous replication, made and removed by itself. */
export interface Contender<F extends string = Fault> {
  readonly name: string;
  start(): Promise<void>;
  /** One primary, and both replicas back in the set that acknowledges. */
  whenReady(): Promise<void>;
  /** A session on which writes work now; rejects while there is no primary. */
  connect(): Promise<pg.Client>;
  /** A session with the member that is primary now, past every router: a client that never notices a failover. */
  connectToPrimary(): Promise<pg.Client>;
  inflict(fault: F): Promise<Inflicted>;
  /** Steps of the last failover. `writableAtMs`: wall clock of the first write that was acknowledged after the fault. */
  phases(faultAtMs: number, writableAtMs: number): Promise<Phases>;
  stop(): Promise<void>;
}
