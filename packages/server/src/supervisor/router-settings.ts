import type { EventDraft, Settings } from '@understudy/core/cluster';
import { describeChange, settingsChange } from '../settings/changes.ts';
import type { ReloadCause } from '../settings/reloads.ts';
import { draft } from './member-process.ts';
import { proxyOptions } from './proxy-options.ts';
import type { ProxyProcess } from './proxy-process.ts';
import type { ServerTls } from '../proxy/server-tls.ts';
import { tlsMaterial } from './tls.ts';

export interface RouterSettingsRequest {
  /** In force now. */
  readonly settings: Settings;
  readonly port: number;
  readonly routerPassword: string;
  readonly tlsDirectory: string;
  /** By what it knows the servers; read again each time. Null: it speaks to them in the clear. */
  readonly serverTls: () => ServerTls | null;
  readonly onEvent: (event: EventDraft) => void;
}

/** The settings of a router that runs, and how it comes by others. */
export class RouterSettings {
  readonly #request: RouterSettingsRequest;
  #settings: Settings;
  #last: Promise<void> = Promise.resolve();

  constructor(request: RouterSettingsRequest) {
    this.#request = request;
    this.#settings = request.settings;
  }

  /** Has the router take on what can be taken on while it runs; one at a time. What is wrong with the settings becomes an event. */
  reload(proxy: ProxyProcess, load: () => Settings, cause: ReloadCause): Promise<void> {
    this.#last = this.#last
      .then(() => this.#reload(proxy, load(), cause))
      .catch((error: Error) =>
        this.#request.onEvent(draft('router-warning', null, `The router keeps the settings that it has: ${error.message}`)),
      );
    return this.#last;
  }

  async #reload(proxy: ProxyProcess, settings: Settings, cause: ReloadCause): Promise<void> {
    const { port, routerPassword, tlsDirectory, serverTls, onEvent } = this.#request;
    const told = describeChange(settingsChange(this.#settings, settings));
    // The files that settings name may be others though the settings are the same: whoever asks wants them read again.
    if (told === null && cause === 'file') return;
    proxy.reload(proxyOptions(settings, port, routerPassword, await tlsMaterial(settings, tlsDirectory, Date.now()), serverTls()));
    this.#settings = settings;
    onEvent(draft('settings-reloaded', null, told ?? 'The router has read its settings and certificates again.'));
  }
}
