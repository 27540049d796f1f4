import { createPool, sql } from 'slonik';
import '../door.mjs';
import { scenario } from '../scenario.mjs';

await scenario(async url => {
  const pool = await createPool(url, { maximumPoolSize: 8, typeParsers: [], statementTimeout: 'DISABLE_TIMEOUT' });
  const titles = sql.unsafe`SELECT title FROM books_slonik ORDER BY id`;
  return {
    migrate: () =>
      pool.query(sql.unsafe`CREATE TABLE books_slonik (id serial PRIMARY KEY, title text UNIQUE NOT NULL, price int NOT NULL DEFAULT 0)`),
    add: title => pool.oneFirst(sql.unsafe`INSERT INTO books_slonik (title) VALUES (${title}) RETURNING id`),
    titles: () => pool.anyFirst(titles),
    raise: (id, by) =>
      pool.transaction(async tx => {
        const price = await tx.oneFirst(sql.unsafe`SELECT price FROM books_slonik WHERE id = ${id} FOR UPDATE`);
        // A transaction within it is a savepoint.
        await tx.transaction(inner => inner.query(sql.unsafe`UPDATE books_slonik SET price = ${price + by} WHERE id = ${id}`));
        return tx.oneFirst(sql.unsafe`SELECT price FROM books_slonik WHERE id = ${id}`);
      }),
    failing: title =>
      pool.transaction(async tx => {
        await tx.query(sql.unsafe`INSERT INTO books_slonik (title) VALUES (${title})`);
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const all = [];
      await pool.stream(titles, stream => {
        stream.on('data', ({ data }) => all.push(data.title));
      });
      return all;
    },
    close: () => pool.end(),
  };
});
