import { join } from 'node:path';
import type { EventDraft, MemberSpec, PostgresSettings, Store } from '@understudy/core/cluster';
import type { AgentOptions, FromAgent, ToAgent } from '../agent/messages.ts';
import { channel, type Link } from '../store/link.ts';
import { serveStore } from '../store/serve.ts';
import { Child } from './child.ts';

export interface MemberProcessOptions {
  readonly spec: MemberSpec;
  readonly agent: AgentOptions;
  readonly store: Store;
  readonly logDirectory: string;
  readonly onEvent: (event: EventDraft) => void;
  readonly onLeft: () => void;
  /** Its server goes on without it. */
  readonly onReleased: () => void;
  /** The agent has ended by itself. */
  readonly onEnded: () => void;
}

/** The agent process of one member: started again when it dies; PostgreSQL outlives it and is adopted. */
export class MemberProcess {
  readonly #options: MemberProcessOptions;
  readonly #child: Child;
  #control: Link | null = null;
  #postgres: PostgresSettings;

  constructor(options: MemberProcessOptions) {
    this.#options = options;
    this.#postgres = options.agent.postgres;
    const { spec, onEvent, onEnded } = options;
    this.#child = new Child({
      name: `agent ${spec.id}`,
      entry: 'agent/main',
      logFile: join(options.logDirectory, `${spec.id}.log`),
      onStart: (link, pid) => this.#begin(link, pid),
      onExit: cause => {
        onEnded();
        onEvent(draft('agent-exited', spec.id, `The agent of ${spec.id} ended (${cause}); it is started again.`));
      },
    });
  }

  get pid(): number | null {
    return this.#child.pid;
  }

  /** No router has a transaction open on the primary any more, for this switchover. */
  drained(intentId: string): void {
    this.#control?.send({ kind: 'drained', intentId } satisfies ToAgent);
  }

  /** Has the agent, and those that are started after it, take on these settings of PostgreSQL. */
  useSettings(postgres: PostgresSettings): void {
    this.#postgres = postgres;
    this.#control?.send({ kind: 'settings', postgres } satisfies ToAgent);
  }

  /** Shuts PostgreSQL down cleanly and ends the agent. */
  async stop(deadlineMs: number): Promise<void> {
    this.#control?.send({ kind: 'stop', deadlineMs } satisfies ToAgent);
    // The agent fences at its deadline; only an agent that is itself stuck is killed, after that.
    await this.#child.stop(deadlineMs + 5000);
  }

  /** Ends the agent, and leaves PostgreSQL running. */
  async abandon(): Promise<void> {
    await this.#child.stop(0);
  }

  #begin(link: Link, pid: number): void {
    const { spec, agent, store, onEvent, onLeft, onReleased } = this.#options;
    const control = channel(link, 'control');
    this.#control = control;
    control.onMessage(message => {
      const said = message as FromAgent;
      switch (said.kind) {
        case 'event':
          onEvent(said.event);
          return;
        case 'left':
          onLeft();
          return;
        case 'released':
          onReleased();
          return;
        case 'failed':
          onEvent(draft('alarm', spec.id, said.message));
          return;
        case 'stopped':
          return;
        default:
          said satisfies never;
      }
    });
    serveStore(store, channel(link, 'store'));
    control.send({ kind: 'begin', options: { ...agent, postgres: this.#postgres } } satisfies ToAgent);
    onEvent(draft('agent-started', spec.id, `The agent of ${spec.id} runs (process ${pid}).`));
  }
}

export function draft(kind: EventDraft['kind'], member: EventDraft['member'], message: string, term: number | null = null): EventDraft {
  return { kind, member, message, term, atMs: Date.now(), inputs: {} };
}
