import type { EventDraft } from '@understudy/core/cluster';
import { askedTopology } from '../asked-topology.ts';
import { channel, type Link } from '../../store/link.ts';
import { RemoteStore } from '../../store/remote.ts';
import { LeadershipProof } from '../leadership-proof.ts';
import type { Begin, FromProxy, ToProxy } from '../messages.ts';
import type { ProxyOptions } from '../options.ts';
import type { ProxyEvent, WatchedTopology } from '../ports.ts';
import { ProxyServer } from '../proxy-server.ts';
import type { StatementWatch } from '../statement-watch.ts';
import { StoreTopology } from '../store-topology.ts';
import type { Place } from './place.ts';

const STATS_INTERVAL_MS = 500;
/** Often enough to look live. */
const STATEMENTS_INTERVAL_MS = 250;
const DRAIN_POLL_MS = 5;

const monotonicMs = (): number => performance.now();

/** Serves until the other end of the link says so or is gone; then `exit` ends this process, or this thread. */
export function serveProxy(first: Begin, link: Link, place: Place, exit: (code: number) => void = code => process.exit(code)): void {
  const control = channel(link, 'control');
  const say = (message: FromProxy): void => control.send(message);
  const watching: Watching = { active: false, apply: (_active: boolean): void => undefined };
  const topology = topologyFor(first, link);
  const running = begin(first, topology, place, say, watching);
  running.catch((error: Error) => {
    say({ kind: 'failed', message: error.message });
    setTimeout(() => exit(1), 50);
  });
  link.onClose(() => exit(0));
  control.onMessage(message => {
    const said = message as ToProxy;
    switch (said.kind) {
      case 'begin':
      case 'begin-asking':
        return;
      case 'reload':
        running.then(server => server.reload(said.options)).catch((error: Error) => say({ kind: 'reload-failed', message: error.message }));
        return;
      case 'view-confirmed':
        topology.confirm(monotonicMs() - ageMs(said.atNs));
        return;
      case 'watch':
        watching.active = said.active;
        watching.apply(said.active);
        return;
      case 'stop':
        void running.then(server => server.stop(said.drainMs)).finally(() => exit(0));
        return;
      default:
        said satisfies never;
    }
  });
}

/** Threads and processes of one machine share this clock, and no other. */
function ageMs(atNs: bigint): number {
  return Number(process.hrtime.bigint() - atNs) / 1e6;
}

interface Running {
  reload(options: ProxyOptions): Promise<void>;
  stop(drainMs: number): Promise<void>;
}

function topologyFor(first: Begin, link: Link): WatchedTopology {
  switch (first.kind) {
    case 'begin':
      return storeTopology(first, new RemoteStore(channel(link, 'store')));
    case 'begin-asking':
      return askedTopology(first.options, first.source);
    default:
      return first satisfies never;
  }
}

/** Where the store may be lost while this process goes on, the view of the cluster has a time to live. */
function storeTopology(
  { options, failover, viewTtlMs, membersDirectory }: Extract<Begin, { kind: 'begin' }>,
  store: RemoteStore,
): StoreTopology {
  const proof = new LeadershipProof(options);
  const prove: LeadershipProof['ask'] = (server, term, timeoutMs) => proof.ask(server, term, timeoutMs);
  return new StoreTopology(store, failover, monotonicMs, {
    membersDirectory,
    confirmation: viewTtlMs === null ? null : { ttlMs: viewTtlMs, prove },
  });
}

/** Whether somebody looks at what is routed; that may be known before the router is. */
interface Watching {
  active: boolean;
  apply: (active: boolean) => void;
}

async function begin(
  { options }: Begin,
  topology: WatchedTopology,
  place: Place,
  say: (message: FromProxy) => void,
  watching: Watching,
): Promise<Running> {
  const onEvent = (event: ProxyEvent): void => say({ kind: 'event', event: draftOf(event, topology.current().term) });
  const server = new ProxyServer(options, topology, onEvent, place);
  await topology.start();
  const address = await server.start();
  say({ kind: 'listening', ...address });
  const reporting = setInterval(() => say({ kind: 'stats', stats: server.stats() }), STATS_INTERVAL_MS);
  const draining = watchDrain(topology, server, say);
  const unwatch = tellStatements(server.statements, watching, say);
  return {
    reload: next => server.reload(next),
    stop: async drainMs => {
      await server.drain(drainMs);
      clearInterval(reporting);
      unwatch();
      draining();
      topology.stop();
      await server.stop();
    },
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
function watchDrain(topology: WatchedTopology, server: ProxyServer, say: (message: FromProxy) => void): () => void {
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
