import pg from '../door.mjs';
import QueryStream from 'pg-query-stream';
import { scenario } from '../scenario.mjs';

await scenario(async url => {
  const pool = new pg.Pool({ connectionString: url, max: 8 });
  const transaction = async work => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  };
  return {
    migrate: () => pool.query('CREATE TABLE books_pg (id serial PRIMARY KEY, title text UNIQUE NOT NULL, price int NOT NULL DEFAULT 0)'),
    add: async title => (await pool.query('INSERT INTO books_pg (title) VALUES ($1) RETURNING id', [title])).rows[0].id,
    titles: async () => (await pool.query({ name: 'titles', text: 'SELECT title FROM books_pg ORDER BY id' })).rows.map(row => row.title),
    raise: (id, by) =>
      transaction(async client => {
        const { rows } = await client.query('SELECT price FROM books_pg WHERE id = $1 FOR UPDATE', [id]);
        await client.query('UPDATE books_pg SET price = $2 WHERE id = $1', [id, rows[0].price + by]);
        return (await client.query('SELECT price FROM books_pg WHERE id = $1', [id])).rows[0].price;
      }),
    failing: title =>
      transaction(async client => {
        await client.query('INSERT INTO books_pg (title) VALUES ($1)', [title]);
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const client = await pool.connect();
      const titles = [];
      for await (const row of client.query(new QueryStream('SELECT title FROM books_pg ORDER BY id', [], { batchSize: 7 })))
        titles.push(row.title);
      client.release();
      return titles;
    },
    close: () => pool.end(),
  };
});
