import { randomBytes } from 'node:crypto';
import { makeVerifier, type ScramVerifier } from '@understudy/wire';
import type { ProxyOptions } from './options.ts';
import { openAsRouter } from './router-connection.ts';
import type { ServerAddress } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';

/** PostgreSQL's SCRAM_SHA_256_DEFAULT_ITERATIONS and its bytes of salt, for servers that want no proof. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
/** SQLSTATE class of a login that is refused for what it is. */
const INVALID_AUTHORIZATION = '28';

/**
 * The verifier of a password with the salt that the servers have for this role, so that the keys that a client proves open them too. Told by the first
 * server that answers, where the role is logged in for it. Null: the server refuses the password. Rejects when no server answers.
 */
export async function saltedAsOn(
  servers: readonly ServerAddress[],
  user: string,
  password: string,
  { router, serverTls, connectTimeoutMs }: Pick<ProxyOptions, 'router' | 'serverTls' | 'connectTimeoutMs'>,
): Promise<ScramVerifier | null> {
  let failure: Error = new Error('no server is known');
  for (const address of servers) {
    try {
      const connection = await openAsRouter(address, { router: { ...router, user, password }, serverTls, connectTimeoutMs });
      const { salt, iterations } = connection.salt ?? { salt: randomBytes(SALT_BYTES), iterations: ITERATIONS };
      connection.end();
      return makeVerifier(password, salt, iterations);
    } catch (error) {
      if (error instanceof LoginRefused && error.fields.code.startsWith(INVALID_AUTHORIZATION)) return null;
      failure = error as Error;
    }
  }
  throw failure;
}
