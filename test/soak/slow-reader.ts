import pg from 'pg';

const ROW_BYTES = 1_000_000;
const ROWS = 1_000;
/** The reader has stopped long enough when nothing has arrived anywhere for so long. */
const STOPPED_MS = 10_000;

export interface SlowReading {
  readonly resultBytes: number;
  /** The greatest growth of the proxy while the reader stood still. */
  readonly costBytes: number;
  readonly complete: boolean;
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

/** Asks for a large result, stops reading, and reads the rest later. */
export async function slowReader(url: string, memory: () => number): Promise<SlowReading> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('SELECT 1');
  const before = memory();
  const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadStream } }).connection;
  let bytes = 0;
  const query = new pg.Query(`SELECT repeat('x', ${ROW_BYTES}) AS t FROM generate_series(1, ${ROWS})`);
  const done = new Promise<void>((resolve, reject) => {
    // Rows are counted and dropped: without a listener of its own, pg would keep them.
    query.on('row', row => {
      bytes += (row.t as string).length;
    });
    query.on('end', () => resolve());
    query.on('error', reject);
  });
  client.query(query);
  await pause(50);
  stream.pause();
  let most = before;
  for (let waited = 0; waited < STOPPED_MS; waited += 250) {
    await pause(250);
    most = Math.max(most, memory());
  }
  stream.resume();
  await done;
  await client.end();
  return { resultBytes: ROW_BYTES * ROWS, costBytes: most - before, complete: bytes === ROW_BYTES * ROWS };
}
