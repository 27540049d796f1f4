/** Asks until the answer is not null, or fails with a sentence after the deadline. */
export async function until<T>(what: string, ask: () => T | null | Promise<T | null>, limitMs = 30_000): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (performance.now() > end) throw new Error(`${what} did not happen within ${limitMs} ms`);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}
