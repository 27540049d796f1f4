import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Account,
  type AdoptionRecord,
  DEFAULT_SETTINGS,
  diskBytes,
  giveTo,
  installTls,
  keptSettings,
  memberPaths,
  placeOf,
  type Provider,
  type ServerSpec,
  walLimits,
} from '../postgres/index.ts';
import type { AgentOptions } from './messages.ts';

/** Makes the member's own directory, with its certificate, and says all that is fixed about its server: one that Understudy made, or one that it has adopted. */
export async function prepareServer(
  options: AgentOptions,
  provider: Provider,
  account: Account | null,
  adoption: AdoptionRecord | null,
): Promise<ServerSpec> {
  const { directory, port, host, applyDelayMs, postgres, credentials } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await giveTo(account, directory);
  const tlsDirectory = options.tls ? join(directory, 'tls') : null;
  if (options.tls && tlsDirectory) await installTls(account, options.tls, tlsDirectory);
  const settings = {
    ...DEFAULT_SETTINGS,
    ...walLimits(await diskBytes(adoption?.dataDirectory ?? directory)),
    port,
    listenAddress: host,
    applyDelayMs,
    tlsDirectory,
    operator: postgres,
    adopted: adoption && keptSettings(adoption),
  };
  return { provider, account, paths: memberPaths(directory, adoption && placeOf(adoption)), settings, credentials };
}
