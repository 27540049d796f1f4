/** As often as PostgreSQL's own certificate is looked at. */
const LOOK_INTERVAL_MS = 10_000;

/** Texts of files that may be renewed while they are in use. */
export interface FollowedFiles<Texts extends object> {
  /** As they are now. Throws where they cannot be read. */
  read(): Texts;
  /** Puts them to use; throws, and leaves everything as it was, where that cannot be. */
  take(texts: Texts): void | Promise<void>;
  /** Is told once why renewed files are not in use; they are tried again. */
  warn(why: string): void;
  readonly intervalMs?: number;
}

/** Looks at files now and then, and takes what differs from what is in use: certificates that were renewed. Returns the end of it. */
export function followFiles<Texts extends object>(inUse: Texts, { read, take, warn, intervalMs }: FollowedFiles<Texts>): () => void {
  let last = JSON.stringify(inUse);
  let told = '';
  let isTaking = false;
  const look = async (): Promise<void> => {
    if (isTaking) return;
    isTaking = true;
    try {
      const texts = read();
      const now = JSON.stringify(texts);
      if (now !== last) await take(texts);
      last = now;
      told = '';
    } catch (error) {
      const why = (error as Error).message;
      if (why !== told) warn(why);
      told = why;
    } finally {
      isTaking = false;
    }
  };
  const timer = setInterval(() => void look(), intervalMs ?? LOOK_INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}
