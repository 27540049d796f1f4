import { Kysely, Migrator, PostgresDialect, sql } from 'kysely';
import pg from '../door.mjs';
import Cursor from 'pg-cursor';
import { scenario } from '../scenario.mjs';

const migrations = {
  '001_books': {
    up: db =>
      db.schema
        .createTable('books_kysely')
        .addColumn('id', 'serial', column => column.primaryKey())
        .addColumn('title', 'text', column => column.unique().notNull())
        .execute(),
  },
  '002_price': {
    up: db =>
      db.schema
        .alterTable('books_kysely')
        .addColumn('price', 'integer', column => column.notNull().defaultTo(0))
        .execute(),
  },
};

await scenario(async url => {
  const db = new Kysely({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 8 }), cursor: Cursor }) });
  const titles = db.selectFrom('books_kysely').select('title').orderBy('id');
  return {
    migrate: async () => {
      // Takes an advisory lock of the transaction, and works in one.
      const { error } = await new Migrator({ db, provider: { getMigrations: async () => migrations } }).migrateToLatest();
      if (error) throw error;
    },
    add: async title => (await db.insertInto('books_kysely').values({ title }).returning('id').executeTakeFirstOrThrow()).id,
    titles: async () => (await titles.execute()).map(row => row.title),
    raise: (id, by) =>
      db
        .transaction()
        .setIsolationLevel('repeatable read')
        .execute(async tx => {
          const row = await tx.selectFrom('books_kysely').select('price').where('id', '=', id).forUpdate().executeTakeFirstOrThrow();
          await tx
            .updateTable('books_kysely')
            .set({ price: row.price + by })
            .where('id', '=', id)
            .execute();
          return (await sql`SELECT price FROM books_kysely WHERE id = ${id}`.execute(tx)).rows[0].price;
        }),
    failing: title =>
      db.transaction().execute(async tx => {
        await tx.insertInto('books_kysely').values({ title }).execute();
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const all = [];
      for await (const row of titles.stream(7)) all.push(row.title);
      return all;
    },
    close: () => db.destroy(),
  };
});
