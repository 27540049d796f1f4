import { type Level, Verdicts } from './checker.ts';

/** What the clients of one door have met with. */
export class Tally {
  readonly verdicts: Verdicts = new Verdicts();
  /** Reads by level and then by the port of the server that answered. */
  readonly reads: Record<Level, Map<number, number>> = {
    strong: new Map(),
    session: new Map(),
    token: new Map(),
    bounded: new Map(),
    eventual: new Map(),
  };
  /** Errors that no client should have seen. */
  readonly surprises: string[] = [];
  writes = 0;
  /** Writes whose outcome nobody was told. */
  unknown = 0;

  noteRead(level: Level, port: number): void {
    const ports = this.reads[level];
    ports.set(port, (ports.get(port) ?? 0) + 1);
  }

  noteFailedRead({ code = '', message }: { readonly code?: string; readonly message: string }): void {
    this.surprises.push(`read: ${code} ${message}`);
  }

  /** A transaction that was open on a lost primary may end in an error; in no other one. */
  noteFailedWrite({ code = '', message }: { readonly code?: string; readonly message: string }): void {
    if (code !== '57P01' && code !== '08007') this.surprises.push(`write: ${code} ${message}`);
    this.unknown += 1;
  }
}

/** Between two steps of a client, so that there is some room for the servers. */
const PAUSE_MS = 2;

export function pause(): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, PAUSE_MS));
}
