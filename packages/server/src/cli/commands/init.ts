import { resolve } from 'node:path';
import { EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import { type Layout, prepareMachines } from '../../service/index.ts';
import { ROLE_NAME } from '../../supervisor/secrets.ts';
import type { CommandContext, TargetOptions } from '../context.ts';

export interface InitOptions extends TargetOptions {
  readonly machines?: string;
  readonly etcd?: string;
  readonly members?: string;
  readonly proxies?: string;
  readonly out: string;
  readonly cluster: string;
  readonly dataDir: string;
  readonly provider: string;
  readonly superuser: string;
  readonly renew?: boolean;
}

/** Writes what each machine of a larger cluster needs: configuration files, its certificate, the shared secrets. */
export async function run(context: CommandContext, options: InitOptions): Promise<ExitCode> {
  const directory = resolve(context.cwd, options.out);
  const layout = layoutOf(options);
  const written = await prepareMachines(directory, layout, options.renew ? 'renew' : 'new', options.superuser);
  context.terminal.out(
    options.json
      ? `${JSON.stringify({ directory, addresses: written })}\n`
      : `${written.map(address => `${directory}/${address}/  goes to /etc/understudy/ on ${address}`).join('\n')}\n` +
          `${directory}/ca/  stays where it is safe: whoever has ca.key can make members\n`,
  );
  return EXIT.ok;
}

function layoutOf(options: InitOptions): Layout {
  const list = (text: string | undefined): readonly string[] =>
    (text ?? options.machines ?? '')
      .split(',')
      .map(each => each.trim())
      .filter(each => each !== '');
  const layout = {
    cluster: options.cluster,
    etcd: list(options.etcd),
    members: list(options.members),
    proxies: list(options.proxies),
    dataDirectory: options.dataDir,
    provider: options.provider,
  };
  const refuse = (option: string, why: string): never => {
    throw new UnderstudyError('bad-option', { option, why, command: 'init' });
  };
  if (!/^[a-z][a-z0-9_-]{0,31}$/.test(layout.cluster))
    refuse('--cluster', `${layout.cluster} is not a name of lower-case letters, digits, - and _`);
  if (layout.etcd.length === 0 || layout.members.length === 0) refuse('--machines', 'no addresses are given');
  const strange = [...layout.etcd, ...layout.members, ...layout.proxies].find(each => !/^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/.test(each));
  if (strange !== undefined) refuse('--machines', `${strange} is no address or host name`);
  if (!ROLE_NAME.test(options.superuser)) refuse('--superuser', `${options.superuser} is not a name of lower-case letters, digits and _`);
  if (layout.provider !== 'embedded' && layout.provider !== 'system') refuse('--provider', 'must be embedded or system');
  return layout as Layout;
}
