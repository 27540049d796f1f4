/** Tells each of them. One that throws has a defect of its own; the others still hear, and so does whoever made the change. */
export function tellAll<Listener>(listeners: Iterable<Listener>, tell: (listener: Listener) => void): void {
  for (const listener of listeners) {
    try {
      tell(listener);
    } catch (error) {
      process.stderr.write(`a listener failed: ${(error as Error).stack ?? String(error)}\n`);
    }
  }
}
