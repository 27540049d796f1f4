import type { RouterTable } from '@understudy/core/sql';
import { factsFor, showTable, type TableSources } from './admin-tables.ts';
import type { LocalResult } from './local-answer.ts';
import type { Place } from './workers/place.ts';

/** `SHOW understudy.clients`, `servers`, `pools` and `stats`: what this worker knows, with what the others do. */
export class Tables {
  readonly #sources: TableSources;
  readonly #place: Pick<Place, 'slots' | 'ask'>;

  constructor(sources: TableSources, place: Pick<Place, 'slots' | 'ask'>) {
    this.#sources = sources;
    this.#place = place;
  }

  facts(table: RouterTable): ReturnType<typeof factsFor> {
    return factsFor(table, this.#sources);
  }

  show(table: RouterTable): LocalResult | Promise<LocalResult> {
    if (this.#place.slots === 1) return showTable(table, [this.facts(table)]);
    return this.#showAll(table);
  }

  async #showAll(table: RouterTable): Promise<LocalResult> {
    const answers = await this.#place.ask({ kind: 'table', table });
    return showTable(table, [this.facts(table), ...answers.flatMap(answer => (answer.kind === 'table' ? [answer.facts] : []))]);
  }
}
