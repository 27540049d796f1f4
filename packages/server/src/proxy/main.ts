import type { EventDraft } from '@understudy/core/cluster';
import { channel } from '../store/link.ts';
import { parentLink } from '../store/process-link.ts';
import { RemoteStore } from '../store/remote.ts';
import { LeadershipProof } from './leadership-proof.ts';
import type { FromProxy, ToProxy } from './messages.ts';
import type { ProxyEvent } from './ports.ts';
import { ProxyServer } from './proxy-server.ts';
import type { StatementWatch } from './statement-watch.ts';
import { StoreTopology } from './store-topology.ts';

const STATS_INTERVAL_MS = 500;
/** Often enough to look live. */
const STATEMENTS_INTERVAL_MS = 250;
const DRAIN_POLL_MS = 5;

const monotonicMs = (): number => performance.now();

/** The program of the proxy's process. It ends when its supervisor does. */
function main(): void {
  const link = parentLink();
  const control = channel(link, 'control');
  const store = new RemoteStore(channel(link, 'store'));
  const say = (message: FromProxy): void => control.send(message);
  let stop: (() => Promise<void>) | null = null;
  let topology: StoreTopology | null = null;
  const watching: Watching = { active: false, apply: (_active: boolean): void => undefined };
  link.onClose(() => process.exit(0));
  control.onMessage(message => {
    const said = message as ToProxy;
    switch (said.kind) {
      case 'begin':
        topology = topologyFor(said, store);
        begin(said, topology, say, watching).then(
          running => {
            stop = running;
          },
          (error: Error) => {
            say({ kind: 'failed', message: error.message });
            setTimeout(() => process.exit(1), 50);
          },
        );
        return;
      case 'view-confirmed':
        topology?.confirm(monotonicMs() - said.ageMs);
        return;
      case 'watch':
        watching.active = said.active;
        watching.apply(said.active);
        return;
      case 'stop':
        void (stop?.() ?? Promise.resolve()).finally(() => process.exit(0));
        return;
      default:
        said satisfies never;
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
}

/** Where the store may be lost while this process goes on, the view of the cluster has a time to live. */
function topologyFor({ options, failover, viewTtlMs }: Extract<ToProxy, { kind: 'begin' }>, store: RemoteStore): StoreTopology {
  const proof = new LeadershipProof(options);
  const prove: LeadershipProof['ask'] = (server, term, timeoutMs) => proof.ask(server, term, timeoutMs);
  return new StoreTopology(store, failover, monotonicMs, viewTtlMs === null ? null : { ttlMs: viewTtlMs, prove });
}

/** Whether somebody looks at what is routed; that may be known before the router is. */
interface Watching {
  active: boolean;
  apply: (active: boolean) => void;
}

async function begin(
  { options }: Extract<ToProxy, { kind: 'begin' }>,
  topology: StoreTopology,
  say: (message: FromProxy) => void,
  watching: Watching,
): Promise<() => Promise<void>> {
  const server = new ProxyServer(options, topology, event => say({ kind: 'event', event: draftOf(event, topology.current().term) }));
  const address = await server.start();
  say({ kind: 'listening', ...address });
  const reporting = setInterval(() => say({ kind: 'stats', stats: server.stats() }), STATS_INTERVAL_MS);
  const draining = watchDrain(topology, server, say);
  const unwatch = tellStatements(server.statements, watching, say);
  return async () => {
    clearInterval(reporting);
    unwatch();
    draining();
    topology.stop();
    await server.stop();
  };
}

/** Sends samples of what is routed for as long as somebody looks. */
function tellStatements(statements: StatementWatch, watching: Watching, say: (message: FromProxy) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const tell = (): void => {
    const sample = statements.take(Date.now());
    if (sample) say({ kind: 'statements', sample });
  };
  watching.apply = active => {
    statements.setActive(active);
    clearInterval(timer);
    timer = active ? setInterval(tell, STATEMENTS_INTERVAL_MS) : undefined;
  };
  watching.apply(watching.active);
  return () => clearInterval(timer);
}

/** While a switchover drains: tells, once, when no client has a transaction open on the primary any more. */
function watchDrain(topology: StoreTopology, server: ProxyServer, say: (message: FromProxy) => void): () => void {
  let timer: NodeJS.Timeout | null = null;
  let told: string | null = null;
  const look = (): void => {
    const intentId = topology.drainingFor;
    if (intentId === null || intentId === told) {
      if (timer) clearInterval(timer);
      timer = null;
      return;
    }
    if (server.busyOnPrimary > 0) {
      timer ??= setInterval(look, DRAIN_POLL_MS);
      return;
    }
    told = intentId;
    say({ kind: 'drained', intentId });
    look();
  };
  return topology.subscribe(look);
}

function draftOf(event: ProxyEvent, term: number): EventDraft {
  const draft = (kind: EventDraft['kind'], message: string, member: string | null = null): EventDraft => ({
    kind,
    message,
    member,
    term,
    atMs: Date.now(),
    inputs: {},
  });
  switch (event.kind) {
    case 'switched':
      return draft('router-switched', `The router sends writes to ${event.primary}, the primary of term ${event.term}.`, event.primary);
    case 'held':
      return draft('router-held', `The router holds statements: ${event.reason}.`);
    case 'released':
      return draft('router-released', `The router sends on what it held for ${Math.round(event.heldMs)} ms.`);
    case 'warning':
      return draft('router-warning', event.message);
    default:
      return event satisfies never;
  }
}

main();
