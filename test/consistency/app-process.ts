import { Pool } from '@understudy/client';
import { describeError } from './app-messages.ts';
import type { AppAnswer, AppRequest } from './app-messages.ts';

/** An application's process: each request is a session, begun with the token that it brings and ended with one for the next, wherever that is answered. */
const pool = new Pool({ connectionString: process.argv[2], consistency: 'session', max: 10 });
pool.on('error', () => undefined);

process.on('message', (request: AppRequest) => {
  void answer(request).then(said => process.send?.(said));
});
process.on('disconnect', () => process.exit(0));

async function answer({ id, sql, values, token }: AppRequest): Promise<AppAnswer> {
  const session = pool.session(token);
  try {
    const { rows } = await session.query(sql, [...values]);
    return { id, rows, error: null, token: await session.settledToken() };
  } catch (error) {
    return { id, rows: [], error: describeError(error), token: session.token };
  }
}
