import { randomBytes } from 'node:crypto';
import { formatVerifier, makeVerifier } from '@understudy/wire';
import type { Connection } from '../connection.ts';
import { type Credentials, ROUTER_ROLE } from '../credentials.ts';
import { REPLICATION_ROLE } from '../settings.ts';
import { ROUTER_OBJECTS } from '../initialize.ts';
import { isPasswordOf } from './look.ts';

const SALT_BYTES = 16;
const ITERATIONS = 4096;

/**
 * Makes the roles that members and routers need, or gives them their passwords; those that are right already stay untouched. PostgreSQL is told verifiers, so that
 * no password comes into its log. On a primary, as a superuser, in the database `postgres`.
 */
export async function ensureRoles(connection: Connection, credentials: Credentials): Promise<void> {
  await ensureRole(connection, credentials.superuserRole, 'SUPERUSER LOGIN', credentials.superuser);
  await ensureRole(connection, REPLICATION_ROLE, 'REPLICATION LOGIN', credentials.replication);
  await ensureRole(connection, ROUTER_ROLE, 'LOGIN', credentials.router);
  for (const statement of ROUTER_OBJECTS) await connection.query(statement);
}

async function ensureRole(connection: Connection, name: string, attributes: string, password: string): Promise<void> {
  const [rows] = await connection.query(`SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = '${name}'`);
  const role = rows?.[0];
  if (role && isPasswordOf(role['rolpassword'] ?? '', password)) return;
  const verifier = formatVerifier(makeVerifier(password, randomBytes(SALT_BYTES), ITERATIONS));
  await connection.query(`${role ? 'ALTER' : 'CREATE'} ROLE ${name} ${attributes} PASSWORD '${verifier}'`);
}
