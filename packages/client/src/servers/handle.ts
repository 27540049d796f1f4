import type pg from 'pg';

/** Two methods of every pg client that its types leave out. */
interface Handle {
  ref(): void;
  unref(): void;
}

/** Whether the connection keeps the process alive. */
export const handleOf = (client: pg.Client): Handle => client as unknown as Handle;
