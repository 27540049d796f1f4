import { type Address, addressName, patroniMembers } from '@understudy/core/routing';

const LOOK_MS = 2_000;
const ANSWER_TIMEOUT_MS = 2_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Which servers a Patroni cluster has, by its REST API. Who of them is the primary is asked of themselves, which is quicker than Patroni's loop. */
export class PatroniWatch {
  readonly #apis: readonly Address[];
  #known = '';
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(apis: readonly Address[]) {
    this.#apis = apis;
  }

  /** Tells the members' addresses, and again whenever they are others. Resolves when the API has been asked once. */
  async start(onMembers: (addresses: readonly Address[]) => void): Promise<void> {
    const addresses = await membersOf(this.#apis).catch(() => null);
    if (this.#stopped) return;
    const names = addresses?.map(addressName).sort().join() ?? this.#known;
    if (addresses !== null && names !== this.#known) {
      this.#known = names;
      onMembers(addresses);
    }
    this.#timer = setTimeout(() => void this.start(onMembers), LOOK_MS);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}

/** The members that the first API names that answers. Rejects, with what the last one said, when none does. */
export async function membersOf(apis: readonly Address[]): Promise<readonly Address[]> {
  let failure: Error = new Error('no API is named');
  for (const api of apis) {
    try {
      const addresses = patroniMembers(await clusterAt(api));
      if (addresses.length > 0) return addresses;
      failure = new Error(`${addressName(api)} names no members`);
    } catch (error) {
      const { message, cause } = error as Error;
      failure = new Error(`${addressName(api)}: ${cause instanceof Error ? cause.message : message}`);
    }
  }
  throw failure;
}

async function clusterAt(api: Address): Promise<unknown> {
  const response = await fetch(`http://${addressName(api)}/cluster`, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += (chunk as Uint8Array).length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk as Uint8Array);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
