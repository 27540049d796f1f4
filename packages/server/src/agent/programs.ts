import { stat } from 'node:fs/promises';
import { versionNumber, type Provider } from '../postgres/index.ts';

/** The programs of PostgreSQL that are installed now: an upgrade of the package replaces them while a server runs. */
export class InstalledPrograms {
  readonly #find: () => Promise<Provider>;
  readonly #witness: (provider: Provider) => string;
  #provider: Provider;
  #mark: string | null = null;

  /** `find` looks for them anew; `witness` is the file that changes with them. */
  constructor(provider: Provider, find: () => Promise<Provider>, witness: (provider: Provider) => string) {
    this.#provider = provider;
    this.#find = find;
    this.#witness = witness;
  }

  get provider(): Provider {
    return this.#provider;
  }

  /** As server_version_num has it. */
  get version(): number {
    return versionNumber(this.#provider.version);
  }

  /** Takes note of other programs, if there are some. Rejects when these cannot be used; the ones that were known stay then. */
  async look(): Promise<void> {
    const mark = await markOf(this.#witness(this.#provider));
    if (mark === this.#mark) return;
    if (this.#mark !== null) this.#provider = await this.#find();
    this.#mark = mark;
  }
}

async function markOf(path: string): Promise<string> {
  const { ino, size, mtimeMs } = await stat(path);
  return `${ino} ${size} ${mtimeMs}`;
}
