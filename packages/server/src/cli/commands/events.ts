import { type ClusterEvent, EXIT, type ExitCode, UnderstudyError } from '@understudy/core/cluster';
import type { ApiClient } from '../api-client.ts';
import type { CommandContext, TargetOptions } from '../context.ts';
import { eventJson, eventLine } from '../event-view.ts';
import { readMessages } from '../sse.ts';
import { connect } from '../target.ts';
import { pause } from '../waiting.ts';

export interface EventsOptions extends TargetOptions {
  readonly follow?: boolean;
  readonly limit: number;
}

/** A cluster that is away for longer than this is not waited for any more. */
const AWAY_LIMIT_MS = 60_000;
const RETRY_MS = 1000;

export async function run(context: CommandContext, options: EventsOptions): Promise<ExitCode> {
  const client = await connect(context, options, 'events');
  const { terminal } = context;
  const zoneOffset = new Date().getTimezoneOffset();
  const print = (event: ClusterEvent): void =>
    terminal.out(`${options.json ? eventJson(event) : eventLine(event, terminal.outColors, zoneOffset)}\n`);
  const events = await client.events(0, options.limit);
  for (const event of events) print(event);
  if (options.follow) await follow(client, context, events.at(-1)?.id ?? 0, print);
  return EXIT.ok;
}

/** Prints what comes, and takes up where it was when the connection breaks. Throws `api-unreachable` when the cluster stays away. */
async function follow(client: ApiClient, context: CommandContext, afterId: number, print: (event: ClusterEvent) => void): Promise<void> {
  const stop = context.takeInterrupts();
  let lastId = afterId;
  let awaySinceMs: number | null = null;
  while (!stop.aborted) {
    try {
      for await (const message of readMessages(await client.eventStream(lastId, stop))) {
        awaySinceMs = null;
        if (message.event !== 'message') continue;
        const event = JSON.parse(message.data) as ClusterEvent;
        lastId = event.id;
        print(event);
      }
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof UnderstudyError && error.code !== 'api-unreachable') throw error;
      if (awaySinceMs === null) context.terminal.err('the connection is lost; trying again\n');
      awaySinceMs ??= performance.now();
      if (performance.now() - awaySinceMs > AWAY_LIMIT_MS) throw error;
    }
    await pause(RETRY_MS, stop);
  }
}
