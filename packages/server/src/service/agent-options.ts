import type { AgentOptions } from '../agent/messages.ts';
import type { Provider } from '../postgres/index.ts';
import { type ClusterPaths, memberDirectory } from '../supervisor/paths.ts';
import { BINARY_COPIES } from '../supervisor/prepare-cluster.ts';
import type { Secrets } from '../supervisor/secrets.ts';
import { sourcePassword } from '../supervisor/standby-source.ts';
import type { ServiceSettings } from './settings.ts';

/** What this machine's member is told, by its file and its secrets. */
export function agentOptions(
  { name, settings, applyDelayMs, machineTls }: ServiceSettings,
  { paths, secrets, provider }: { readonly paths: ClusterPaths; readonly secrets: Secrets; readonly provider: Provider },
): AgentOptions {
  const { superuser, superuserRole, replication, router } = secrets;
  return {
    member: name,
    host: settings.host,
    port: settings.memberPort,
    directory: memberDirectory(paths, name),
    provider: provider.kind === 'embedded' ? { kind: 'embedded' } : { kind: 'system', binDirectory: provider.binDirectory },
    binaryCopies: BINARY_COPIES,
    credentials: { superuser, superuserRole, replication, router, ...sourcePassword(settings) },
    failover: settings.failover,
    postgres: settings.postgres,
    applyDelayMs,
    tls: machineTls,
  };
}
