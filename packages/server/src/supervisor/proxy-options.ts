import type { Settings } from '@understudy/core/cluster';
import { ROUTER_ROLE } from '../postgres/credentials.ts';
import type { TlsMaterial } from '../proxy/client-tls.ts';
import type { ServerTls } from '../proxy/server-tls.ts';
import { DEFAULT_PROXY_OPTIONS, type ProxyOptions } from '../proxy/options.ts';

/** The proxy's options as the cluster's settings say them. */
export function proxyOptions(
  settings: Settings,
  port: number,
  routerPassword: string,
  tls: TlsMaterial | null,
  serverTls: ServerTls | null,
): ProxyOptions {
  return {
    ...DEFAULT_PROXY_OPTIONS,
    host: settings.host,
    port,
    tls,
    serverTls,
    router: { user: ROUTER_ROLE, password: routerPassword, database: 'postgres' },
    consistency: settings.consistency,
    maxLagMs: settings.routing.maxLagMs,
    freshWaitMs: settings.routing.freshWaitMs,
    onStale: settings.routing.onStale,
    readsOnPrimary: settings.routing.readsOnPrimary,
    replicaMaxLagMs: settings.routing.replicaMaxLagMs,
    replicaMaxLagBytes: settings.routing.replicaMaxLagBytes,
    zone: settings.routing.zone,
    functions: { allow: settings.routing.allowFunctions, deny: settings.routing.denyFunctions },
    levels: { roles: settings.routing.roleConsistency, databases: settings.routing.databaseConsistency },
    workers: settings.proxy.workers,
    maxHeld: settings.proxy.maxHeld,
    holdTimeoutMs: settings.proxy.holdTimeoutMs,
    maxClients: settings.proxy.maxClients,
    poolMode: settings.proxy.poolMode,
    poolSize: settings.proxy.poolSize,
    maxServerConnections: settings.proxy.maxServerConnections,
    queueTimeoutMs: settings.proxy.queueTimeoutMs,
    lanes: settings.proxy.lanes,
    serverIdleMs: settings.proxy.serverIdleMs,
    loginTimeoutMs: settings.proxy.loginTimeoutMs,
    idleTimeoutMs: settings.proxy.idleTimeoutMs,
    idleInTransactionTimeoutMs: settings.proxy.idleInTransactionTimeoutMs,
    queryTimeoutMs: settings.proxy.queryTimeoutMs,
  };
}
