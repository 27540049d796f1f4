import { type LoadedSettings, loadSettings } from '../settings/load.ts';
import type { CommandContext, TargetOptions } from './context.ts';

export interface UpOptions extends TargetOptions {
  readonly port?: string;
  readonly httpPort?: string;
  readonly host?: string;
  readonly httpHost?: string;
  readonly replicas?: string;
  readonly durability?: string;
  readonly consistency?: string;
  readonly provider?: string;
  readonly binDir?: string;
  readonly tlsMode?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly standbyOf?: string;
  readonly standbySecrets?: string;
  readonly standbyPasswordFile?: string;
  readonly config?: string;
  /** Directory of a backup. */
  readonly fromBackup?: string;
  readonly detach?: boolean;
  /** This process was started by `up --detach`: it tells its progress over IPC. */
  readonly background?: boolean;
}

/** The settings of `up`. A directory of programs without a provider means the system's. */
export function upSettings(context: CommandContext, options: UpOptions): LoadedSettings {
  const { data, port, httpPort, host, httpHost, replicas, durability, consistency, binDir } = options;
  const provider = options.provider ?? (binDir === undefined ? undefined : 'system');
  return loadSettings({
    flags: {
      data,
      port,
      httpPort,
      host,
      httpHost,
      replicas,
      durability,
      consistency,
      provider,
      binDir,
      'standby.of': options.standbyOf,
      'standby.secrets': options.standbySecrets,
      'standby.passwordFile': options.standbyPasswordFile,
      'tls.mode': options.tlsMode,
      'tls.cert': options.tlsCert,
      'tls.key': options.tlsKey,
      'tls.clientCa': options.tlsClientCa,
    },
    env: context.env,
    cwd: context.cwd,
    command: 'up',
    configPath: options.config ?? null,
  });
}
