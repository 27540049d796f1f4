import type { ProxyOptions } from './options.ts';
import { type ServerAddress, ServerConnection } from './server-connection.ts';

/**
 * A connection of the router's own, as its role, for its own questions: names mean the system's, whatever roles and databases set. `member`: who the
 * connection is to, for the owner of what it says; `signal` gives the attempt up. Rejects as {@link ServerConnection.open} does.
 */
export function openAsRouter(
  address: ServerAddress,
  { router, serverTls, connectTimeoutMs }: Pick<ProxyOptions, 'router' | 'serverTls' | 'connectTimeoutMs'>,
  { member = '', signal }: { readonly member?: string; readonly signal?: AbortSignal } = {},
): Promise<ServerConnection> {
  return ServerConnection.open({
    address,
    member,
    role: 'replica',
    term: 0,
    parameters: new Map([
      ['user', router.user],
      ['database', router.database],
      ['application_name', 'understudy router'],
      ['client_encoding', 'UTF8'],
      ['search_path', 'pg_catalog'],
    ]),
    credential: { kind: 'password', password: router.password },
    tls: serverTls,
    timeoutMs: connectTimeoutMs,
    ...(signal ? { signal } : {}),
  });
}
