import type { ClusterState, Lsn, MemberId, SourceSpec, TimelineHistory } from '../cluster/index.ts';

/** An effect that an agent is to perform. Each is safe to perform twice, and safe to be cut off in the middle. */
export type Action =
  /** Compare-and-swap of the whole document; a conflict is no error: the next view decides again. */
  | { readonly kind: 'change-store'; readonly next: ClusterState }
  /** Write the promise with fsync. Nothing else of the promise is answered before the server is isolated, too. */
  | { readonly kind: 'promise'; readonly term: number }
  | { readonly kind: 'initdb' }
  /** Start the stopped server with standby.signal, following nobody, with the fail-closed synchronous names. */
  | { readonly kind: 'start-isolated' }
  /**
   * Start the stopped server as the primary of a term that it already leads (no promotion). Names of this term that stand in its
   * configuration are kept: a change of the store that this agent asked for and heard no more of may rest on them. Else these are set before.
   */
  | { readonly kind: 'start-primary'; readonly term: number; readonly synchronousNames: string }
  /** Empty primary_conninfo and see the walreceiver gone. */
  | { readonly kind: 'isolate' }
  /** Start if need be, and stream from that member under the name of this term. */
  | {
      readonly kind: 'follow';
      readonly from: MemberId;
      readonly host: string;
      readonly port: number;
      readonly applicationName: string;
      readonly slot: string;
    }
  /** Promote, with names that nobody can satisfy in force until these are; see to it that the new timeline gets this number. */
  | { readonly kind: 'promote'; readonly term: number; readonly timeline: number; readonly synchronousNames: string }
  /** Change the synchronous names of the running primary; reports back when they are in force in every walsender, with the insert LSN of that moment (LocalFacts.namesInForceSince). */
  | { readonly kind: 'set-synchronous-names'; readonly synchronousNames: string }
  /** Mark the start of an open primary (LocalFacts.open): barrierLsn is its insert LSN now. */
  | { readonly kind: 'begin-confirm'; readonly term: number }
  /** Tell the routers that the old commits of this primary cannot be lost any more. */
  | { readonly kind: 'confirm'; readonly term: number }
  /** SIGKILL of the postmaster and every child. */
  | { readonly kind: 'fence' }
  /** Clean shutdown within the deadline, else the fence. */
  | { readonly kind: 'shutdown'; readonly deadlineMs: number }
  /** Keep the WAL past `fromLsn` aside, then pg_rewind where the provider has it, else clone anew. */
  | {
      readonly kind: 'rejoin';
      readonly primary: MemberId;
      readonly host: string;
      readonly port: number;
      readonly fromLsn: Lsn;
      readonly leaderHistory: TimelineHistory;
    }
  /** Standby leader: see to its slot there, start if need be, and stream from a server of the source. */
  | {
      readonly kind: 'follow-source';
      readonly host: string;
      readonly port: number;
      readonly source: SourceSpec;
      readonly applicationName: string;
      readonly slot: string;
    }
  /** Standby leader: keep the WAL past the fork aside where there is one, then copy that server of the source anew. What is here is kept until the copy is complete. */
  | {
      readonly kind: 'copy-source';
      readonly host: string;
      readonly port: number;
      readonly source: SourceSpec;
      readonly slot: string;
      readonly forkLsn: Lsn | null;
    }
  /** Take a copy of the leader of the term, or of a replica that streams under it. */
  | { readonly kind: 'clone'; readonly from: MemberId; readonly host: string; readonly port: number }
  /** Physical slots that should exist on this member; others of ours are dropped only when listed in `drop`. */
  | { readonly kind: 'slots'; readonly ensure: readonly string[]; readonly drop: readonly string[] }
  /** A person must decide: said once, kept until it no longer holds. */
  | { readonly kind: 'alarm'; readonly code: string }
  | { readonly kind: 'leave' }
  /** Turn the server's files into those of a plain one that goes on as it is: no restart. */
  | { readonly kind: 'release' }
  /** Forget the server, and leave it running. */
  | { readonly kind: 'end-release' };

/** One decision: what, why in words for the operator, and the facts it rests on. */
export interface Decision {
  readonly action: Action;
  readonly reason: string;
  readonly inputs: Readonly<Record<string, string | number | boolean | null>>;
}
