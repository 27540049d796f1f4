import type { Cell } from '../lib/cell.ts';
import { copy } from './copy.ts';
import { delay } from './delay.ts';
import { idle } from './idle.ts';
import { mix, writes } from './mixed.ts';
import { points } from './points.ts';
import { results } from './results.ts';
import { storm } from './storm.ts';

export const CELLS: readonly Cell[] = [...points, ...writes, ...mix, ...results, ...copy, ...storm, ...delay, ...idle];

/** Cells whose names begin with one of the words; all when there are none. Throws on a word that fits nothing. */
export function cellsFor(words: readonly string[]): readonly Cell[] {
  for (const word of words) {
    if (!CELLS.some(cell => cell.id.startsWith(word))) {
      throw new Error(`no part is called ${word}; there are ${CELLS.map(cell => cell.id).join(', ')}`);
    }
  }
  return words.length === 0 ? CELLS : CELLS.filter(cell => words.some(word => isOrBegins(cell.id, word)));
}

/** `points-extended-1` is not `points-extended-128`. */
function isOrBegins(id: string, word: string): boolean {
  return id === word || id.startsWith(`${word}-`);
}
