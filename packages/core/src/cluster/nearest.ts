/** How far a word may be from a name, as a share of the longer one, to be taken for a slip of the finger. */
const CLOSE_ENOUGH = 0.4;

/** The name that was probably meant by `word`, or null when none is close. Case and the separators - and _ do not count. */
export function nearestName(word: string, names: Iterable<string>): string | null {
  const plain = simplify(word);
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of names) {
    const candidate = simplify(name);
    const distance = editDistance(plain, candidate);
    if (distance < bestDistance && distance <= Math.max(plain.length, candidate.length) * CLOSE_ENOUGH) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** ` Did you mean X?` with its leading space, or nothing: to be put behind a message. */
export function didYouMean(word: string, names: Iterable<string>): string {
  const name = nearestName(word, names);
  return name === null ? '' : ` Did you mean ${name}?`;
}

function simplify(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours cost one each. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) distance = Math.min(distance, beforeLast[j - 2]! + 1);
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
