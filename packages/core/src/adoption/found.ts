import type { TimelineHistory, WalPosition } from '../cluster/index.ts';

/** A PostgreSQL server that runs, as it was found on a machine; nothing of it is Understudy's yet, or only a part. */
export interface FoundServer {
  readonly standing: FoundPrimary | FoundReplica;
  /** Of the running server. */
  readonly major: number;
  readonly version: string;
  /** In decimal. */
  readonly systemId: string;
  readonly dataDirectory: string;
  /** Its data directory is a mount point: it cannot be renamed. */
  readonly isMountPoint: boolean;
  readonly owner: { readonly uid: number; readonly name: string };
  /** Settings by name, as `SHOW` tells numbers and switches in pg_settings: without units. */
  readonly settings: Readonly<Record<string, string>>;
  readonly slots: readonly {
    readonly name: string;
    readonly kind: 'physical' | 'logical';
    readonly active: boolean;
    readonly failover: boolean;
  }[];
  readonly tablespaces: readonly string[];
  /** Sessions of Patroni. */
  readonly patroniSessions: number;
  /** The role that is to be Understudy's superuser, and those that could not log in through a router. */
  readonly superuser: 'absent' | 'ours' | 'without-password' | 'another-password' | 'not-superuser';
  readonly md5Roles: readonly string[];
  /** The database to which members and routers connect is there. */
  readonly hasPostgresDatabase: boolean;
  /** What is wrong with its files as they are now. */
  readonly fileFaults: readonly string[];
  /** It can be connected to at the address and the port of the member. Null: yes; else why not. */
  readonly unreachable: string | null;
  /** Debian's start.conf when that starts it with the machine. */
  readonly startsByItself: string | null;
}

interface FoundPrimary {
  readonly kind: 'primary';
  readonly timeline: number;
  readonly senders: readonly { readonly name: string; readonly address: string; readonly state: string }[];
}

interface FoundReplica {
  readonly kind: 'replica';
  readonly timeline: number;
  /** Where its WAL ends; null: it is not known yet. */
  readonly walEnd: WalPosition | null;
  readonly isStreaming: boolean;
}

/** The primary of the cluster that a replica is to join, as it answers on a replication connection from this machine. */
export type LeaderAnswer =
  | { readonly kind: 'answers'; readonly systemId: string; readonly end: WalPosition & { readonly history: TimelineHistory } }
  | { readonly kind: 'silent'; readonly why: string };

/** What a member's file and the programs of this machine say. */
export interface AdoptionWish {
  readonly member: string;
  readonly host: string;
  readonly port: number;
  readonly superuserRole: string;
  readonly account: { readonly uid: number; readonly name: string };
  readonly programs: { readonly major: number; readonly version: string; readonly directory: string; readonly hasRewind: boolean };
  /** The member's own directory, and whether the account may enter it: the password for streaming lies there. */
  readonly directory: string;
  readonly canEnterDirectory: boolean;
  readonly hasTls: boolean;
  readonly isDelayed: boolean;
  readonly promisedTerm: number;
}
