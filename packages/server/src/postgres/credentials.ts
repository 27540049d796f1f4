/** The generated passwords of a cluster. The same on all members, since they lie in the database that they share. */
export interface Credentials {
  /** Of the superuser `postgres`. */
  readonly superuser: string;
  /** Of `understudy_replication`. */
  readonly replication: string;
  /** Of `understudy_router`. */
  readonly router: string;
}

export const SUPERUSER = 'postgres';
export const ROUTER_ROLE = 'understudy_router';
