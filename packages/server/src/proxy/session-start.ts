import { performance } from 'node:perf_hooks';
import { holdFull, noServer, ProxyFailure } from './errors.ts';
import type { Reported } from './reported.ts';
import { StatementRefused } from './server-connection.ts';
import { LoginRefused } from './server-login.ts';
import type { SessionContext } from './session-context.ts';
import { applySettings } from './server-settings.ts';
import type { SessionServers } from './session-servers.ts';
import type { SettingsSet } from './settings-set.ts';

/** Pause before a server that refused to be connected to is tried again, when no news comes before. */
export const RECONNECT_MS = 100;
/** What a server says while it starts or stops: another try may do. */
const TRANSIENT_LOGIN: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);

/** A refusal that will not change by waiting: a wrong password, a database that is not there, a setting that does not exist. */
export function isFinal(error: unknown): error is LoginRefused | StatementRefused | ProxyFailure {
  if (error instanceof LoginRefused) return !TRANSIENT_LOGIN.has(error.fields.code);
  return error instanceof StatementRefused || error instanceof ProxyFailure;
}

/**
 * What a new session is told of the servers' settings: known from a session like it, else asked of the primary, else of a replica, since reads
 * go on without a primary, and so do logins. Throws ProxyFailure, or what a server refused.
 */
export async function greet(
  context: SessionContext,
  servers: SessionServers,
  settings: SettingsSet,
  isGone: () => boolean,
): Promise<Reported> {
  const known = context.greetings.find(servers.user, settings);
  if (known !== null) return known;
  const parameters = await ask(context, servers, settings, isGone);
  context.greetings.note(servers.user, settings, parameters);
  return parameters;
}

async function ask(context: SessionContext, servers: SessionServers, settings: SettingsSet, isGone: () => boolean): Promise<Reported> {
  const deadline = performance.now() + context.options.holdTimeoutMs;
  for (;;) {
    const { topology } = context.watch;
    let failure: Error | null = null;
    const primary = topology.primary.kind === 'open' ? [{ server: topology.primary.server, role: 'primary' as const }] : [];
    for (const { server, role } of [...primary, ...topology.replicas.map(replica => ({ server: replica, role: 'replica' as const }))]) {
      try {
        const connection = servers.take(server, role, topology.term, settings) ?? (await servers.acquire(server, role, topology.term));
        try {
          await applySettings(connection, settings);
          return connection.parameters;
        } finally {
          // A replica may have taken settings under which it can do nothing any more.
          if (role === 'replica' && settings.values.size > 0) connection.destroy(new Error('used for a greeting only'));
          else servers.release(connection);
        }
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
