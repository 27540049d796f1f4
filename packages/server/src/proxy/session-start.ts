import { performance } from 'node:perf_hooks';
import { holdFull, noServer } from './errors.ts';
import type { ServerConnection } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';
import type { SessionContext } from './session-context.ts';
import type { SessionServers } from './session-servers.ts';

/** Pause before a server that refused to be connected to is tried again, when no news comes before. */
export const RECONNECT_MS = 100;
/** What a server says while it starts or stops: another try may do. */
const TRANSIENT_LOGIN: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);

/** A refusal that will not change by waiting: a wrong password, a database that is not there, too many connections. */
export function isFinal(error: unknown): error is LoginRefused {
  return error instanceof LoginRefused && !TRANSIENT_LOGIN.has(error.fields.code);
}

/**
 * The first connection of a session, whose settings the client is told: to the primary if there is one, else to a replica, since reads go on
 * without a primary, and so do logins. Throws ProxyFailure, or the LoginRefused of a server.
 */
export async function openFirst(context: SessionContext, servers: SessionServers, isGone: () => boolean): Promise<ServerConnection> {
  const deadline = performance.now() + context.options.holdTimeoutMs;
  for (;;) {
    const { topology } = context.watch;
    let failure: Error | null = null;
    const primary = topology.primary.kind === 'open' ? [{ server: topology.primary.server, role: 'primary' as const }] : [];
    for (const { server, role } of [...primary, ...topology.replicas.map(replica => ({ server: replica, role: 'replica' as const }))]) {
      try {
        return await servers.open(server, role, topology.term);
      } catch (error) {
        if (isFinal(error)) throw error;
        failure ??= error as Error;
      }
    }
    const left = deadline - performance.now();
    if (left <= 0 || isGone()) throw noServer(failure?.message ?? context.watch.reason);
    if (!context.watch.hasRoom) throw holdFull();
    await context.watch.nextTopology(Math.min(left, RECONNECT_MS)).over;
  }
}
