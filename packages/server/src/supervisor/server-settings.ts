import type { EventDraft, PostgresSettings, Settings } from '@understudy/core/cluster';
import { draft, type MemberProcess } from './member-process.ts';

export interface ServerSettingsPorts {
  /** Throws when PostgreSQL would refuse them. */
  readonly check: (settings: Settings) => Promise<void>;
  readonly members: () => readonly MemberProcess[];
  readonly onEvent: (event: EventDraft) => void;
}

/** PostgreSQL's settings of the servers that run here, and how they come by others. */
export class ServerSettings {
  readonly #ports: ServerSettingsPorts;
  #current: PostgresSettings;
  #last: Promise<void> = Promise.resolve();

  constructor(current: PostgresSettings, ports: ServerSettingsPorts) {
    this.#current = current;
    this.#ports = ports;
  }

  get current(): PostgresSettings {
    return this.#current;
  }

  /** Has the agents take on what has changed; one at a time. What is wrong with it becomes an event. */
  reload(load: () => Settings): Promise<void> {
    this.#last = this.#last
      .then(() => this.#reload(load()))
      .catch((error: Error) => this.#ports.onEvent(draft('decision', null, `PostgreSQL keeps the settings that it has: ${error.message}`)));
    return this.#last;
  }

  async #reload(settings: Settings): Promise<void> {
    const names = changedNames(this.#current, settings.postgres);
    if (names.length === 0) return;
    await this.#ports.check(settings);
    this.#current = settings.postgres;
    for (const member of this.#ports.members()) member.useSettings(settings.postgres);
    const message = `PostgreSQL is given ${names.join(', ')}. What waits for a restart then, \`understudy status\` says.`;
    this.#ports.onEvent(draft('settings-reloaded', null, message));
  }
}

function changedNames(before: PostgresSettings, after: PostgresSettings): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(name => before[name] !== after[name]).sort();
}
