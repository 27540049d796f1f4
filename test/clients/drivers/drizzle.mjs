import { asc, eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, serial, text } from 'drizzle-orm/pg-core';
import { sql } from 'drizzle-orm/sql';
import pg from '../door.mjs';
import { scenario } from '../scenario.mjs';

const books = pgTable('books_drizzle', {
  id: serial('id').primaryKey(),
  title: text('title').notNull().unique(),
  price: integer('price').notNull().default(0),
});

await scenario(async url => {
  const pool = new pg.Pool({ connectionString: url, max: 8 });
  const db = drizzle(pool);
  const all = db.select({ title: books.title }).from(books).orderBy(asc(books.id));
  const prepared = all.prepare('all_titles');
  return {
    migrate: () =>
      db.execute(sql`CREATE TABLE books_drizzle (id serial PRIMARY KEY, title text UNIQUE NOT NULL, price int NOT NULL DEFAULT 0)`),
    add: async title => (await db.insert(books).values({ title }).returning({ id: books.id }))[0].id,
    titles: async () => (await prepared.execute()).map(row => row.title),
    raise: (id, by) =>
      db.transaction(
        async tx => {
          const [{ price }] = await tx.select().from(books).where(eq(books.id, id)).for('update');
          await tx.transaction(inner =>
            inner
              .update(books)
              .set({ price: price + by })
              .where(eq(books.id, id)),
          );
          return (await tx.select().from(books).where(eq(books.id, id)))[0].price;
        },
        { isolationLevel: 'serializable', accessMode: 'read write', deferrable: true },
      ),
    failing: title =>
      db.transaction(async tx => {
        await tx.insert(books).values({ title });
        tx.rollback();
      }),
    stream: async () => {
      // Drizzle has no cursor of its own for pg: pages by key.
      const titles = [];
      for (let page = 0; ; page++) {
        const rows = await all.limit(7).offset(page * 7);
        titles.push(...rows.map(row => row.title));
        if (rows.length < 7) return titles;
      }
    },
    close: () => pool.end(),
  };
});
