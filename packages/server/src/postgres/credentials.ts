/** The generated passwords of a cluster. The same on all members, since they lie in the database that they share. */
export interface Credentials {
  /** Of the superuser. */
  readonly superuser: string;
  /** Its name: `postgres`, or a role of Understudy's own in a cluster that it has adopted. */
  readonly superuserRole: string;
  /** Of `understudy_replication`. */
  readonly replication: string;
  /** Of `understudy_router`. */
  readonly router: string;
  /** Of the role that streams from the source of a standby cluster; absent: that of `understudy_replication`. */
  readonly source?: string;
}

/** The superuser of a cluster that Understudy made. */
export const SUPERUSER = 'postgres';
export const ROUTER_ROLE = 'understudy_router';
