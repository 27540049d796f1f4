import {
  type Account,
  chooseAccount,
  embeddedProvider,
  embeddedWitness,
  installTls,
  PostgresServer,
  type Provider,
  readAdoption,
  systemProvider,
  type TlsSources,
} from '../postgres/index.ts';
import { channel } from '../store/link.ts';
import { parentLink } from '../store/process-link.ts';
import { RemoteStore } from '../store/remote.ts';
import { Agent } from './agent.ts';
import type { AgentOptions, FromAgent, ToAgent } from './messages.ts';
import { InstalledPrograms } from './programs.ts';
import { PromiseFile } from './promise-file.ts';
import { PromotionNote } from './promotion-note.ts';
import { prepareServer } from './server-spec.ts';

/** How often the certificate's files are looked at. */
const CERTIFICATE_INTERVAL_MS = 10_000;

/** The program of one agent process. It ends when its supervisor does, and leaves PostgreSQL running: the next agent adopts it. */
function main(): void {
  // The store's first words may come before we have begun: its channel must be listened to from the start.
  const link = parentLink();
  const control = channel(link, 'control');
  const store = new RemoteStore(channel(link, 'store'));
  const say = (message: FromAgent): void => control.send(message);
  let agent: Promise<Agent> | null = null;
  link.onClose(() => process.exit(0));
  control.onMessage(message => {
    const said = message as ToAgent;
    switch (said.kind) {
      case 'begin':
        agent = begin(said.options, store, say);
        agent.catch((error: Error) => fail(error, say));
        return;
      case 'drained':
        void agent?.then(a => a.noteDrained(said.intentId));
        return;
      case 'settings':
        void agent?.then(a => a.useSettings(said.postgres));
        return;
      case 'stop':
        void end(agent, said.deadlineMs, say);
        return;
      default:
        said satisfies never;
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
}

async function begin(options: AgentOptions, store: RemoteStore, say: (message: FromAgent) => void): Promise<Agent> {
  const account = await chooseAccount();
  const { provider: wish, directory } = options;
  const find = (): Promise<Provider> =>
    wish.kind === 'embedded'
      ? embeddedProvider({ account, copyDirectory: options.binaryCopies })
      : systemProvider(wish.binDirectory, account);
  const provider = await find();
  const programs = new InstalledPrograms(provider, find, ({ postgres }) => (wish.kind === 'embedded' ? embeddedWitness() : postgres));
  await programs.look();
  const spec = await prepareServer(options, provider, account, await readAdoption(directory));
  const server: PostgresServer = new PostgresServer(spec, exit =>
    agent.noteExit(exit.signal ? `killed by ${exit.signal}` : `exit code ${exit.exitCode ?? 'unknown'}`),
  );
  const agent = new Agent(options, {
    store,
    server,
    programs,
    promises: new PromiseFile(directory),
    note: new PromotionNote(directory),
    onEvent: event => say({ kind: 'event', event }),
    onLeft: () => say({ kind: 'left' }),
    onReleased: () => say({ kind: 'released' }),
  });
  const { tlsDirectory } = spec.settings;
  if (options.tls && tlsDirectory) followCertificate(account, options.tls, tlsDirectory, server);
  agent.run().catch((error: Error) => fail(error, say));
  return agent;
}

/** A certificate that was renewed is taken over while the server runs: connections that are there go on, new ones show the new one. */
function followCertificate(account: Account | null, sources: TlsSources, directory: string, server: PostgresServer): void {
  const look = async (): Promise<void> => {
    if ((await installTls(account, sources, directory)) && server.pid !== null) server.reload();
  };
  setInterval(() => void look().catch((error: Error) => process.stderr.write(`certificate: ${error.message}\n`)), CERTIFICATE_INTERVAL_MS);
}

async function end(agent: Promise<Agent> | null, deadlineMs: number, say: (message: FromAgent) => void): Promise<void> {
  try {
    await (await agent)?.stop(deadlineMs);
  } finally {
    say({ kind: 'stopped' });
    process.disconnect();
  }
}

/** The supervisor starts a new agent; the message says why this one gave up. */
function fail(error: Error, say: (message: FromAgent) => void): void {
  process.stderr.write(`${error.stack ?? error.message}\n`);
  say({ kind: 'failed', message: error.message });
  setTimeout(() => process.exit(1), 50);
}

main();
