import postgres from 'postgres';
import { scenario } from '../scenario.mjs';

await scenario(async url => {
  const sql = postgres(url, { max: 4, onnotice: () => undefined });
  return {
    migrate: () => sql`CREATE TABLE books_postgres (id serial PRIMARY KEY, title text UNIQUE NOT NULL, price int NOT NULL DEFAULT 0)`,
    add: async title => (await sql`INSERT INTO books_postgres ${sql({ title })} RETURNING id`)[0].id,
    titles: async () => (await sql`SELECT title FROM books_postgres ORDER BY id`).map(row => row.title),
    raise: (id, by) =>
      sql.begin(async tx => {
        const [{ price }] = await tx`SELECT price FROM books_postgres WHERE id = ${id} FOR UPDATE`;
        await tx`UPDATE books_postgres SET price = ${price + by} WHERE id = ${id}`;
        return (await tx`SELECT price FROM books_postgres WHERE id = ${id}`)[0].price;
      }),
    failing: title =>
      sql.begin(async tx => {
        await tx`INSERT INTO books_postgres ${tx({ title })}`;
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const titles = [];
      for await (const rows of sql`SELECT title FROM books_postgres ORDER BY id`.cursor(7)) titles.push(...rows.map(row => row.title));
      return titles;
    },
    close: () => sql.end(),
  };
});
