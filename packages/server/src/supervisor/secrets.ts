import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { UnderstudyError } from '@understudy/core/cluster';
import { z } from 'zod';
import { SUPERUSER } from '../postgres/credentials.ts';
import { writeDurably } from '../store/durable-file.ts';

/** Generated passwords of the three roles, the superuser's name, and the token for operations. Kept in one file of mode 0600. */
export interface Secrets {
  readonly superuser: string;
  readonly superuserRole: string;
  readonly replication: string;
  readonly router: string;
  readonly token: string;
}

/** Needs no quotes in SQL, in pg_hba.conf and in a URL. */
export const ROLE_NAME: RegExp = /^[a-z_][a-z0-9_]{0,62}$/;

const schema: z.ZodType<Secrets> = z.strictObject({
  superuser: z.string().min(1),
  superuserRole: z.string().regex(ROLE_NAME).default(SUPERUSER),
  replication: z.string().min(1),
  router: z.string().min(1),
  token: z.string().min(1),
});

/** Letters and digits only, so that a URL needs no escapes. 144 bits. */
function password(): string {
  return randomBytes(18).toString('base64url').replaceAll('-', 'x').replaceAll('_', 'y');
}

/** `roles`: of the cluster whose data this one is to have; its token is its own all the same. */
export function createSecrets(path: string, superuserRole: string = SUPERUSER, roles: Omit<Secrets, 'token'> | null = null): Secrets {
  const own = roles ?? { superuser: password(), superuserRole, replication: password(), router: password() };
  const secrets: Secrets = {
    superuser: own.superuser,
    superuserRole: own.superuserRole,
    replication: own.replication,
    router: own.router,
    token: password(),
  };
  writeDurably(path, `${JSON.stringify(secrets, null, 2)}\n`, 0o600);
  return secrets;
}

/** Throws `state-corrupt` when the file is missing or unreadable. */
export function readSecrets(path: string): Secrets {
  try {
    if (!existsSync(path)) throw new Error('it is missing');
    return schema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new UnderstudyError('state-corrupt', { path, why: (error as Error).message }, { cause: error });
  }
}
