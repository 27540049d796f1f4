import knex from 'knex';
import PgDialect from 'knex/lib/dialects/postgres/index.js';
import pg from '../door.mjs';
import { scenario } from '../scenario.mjs';

const migrationSource = {
  getMigrations: async () => ['001_books', '002_price'],
  getMigrationName: name => name,
  getMigration: async name => ({
    up: db =>
      name === '001_books'
        ? db.schema.createTable('books_knex', table => {
            table.increments('id');
            table.text('title').unique().notNullable();
          })
        : db.schema.alterTable('books_knex', table => {
            table.integer('price').notNullable().defaultTo(0);
          }),
    down: async () => undefined,
  }),
};

/** Knex's own dialect, on the module that it is given. */
class Dialect extends PgDialect {
  _driver() {
    return pg;
  }
}

await scenario(async url => {
  const db = knex({ client: Dialect, connection: url, pool: { min: 0, max: 8 } });
  return {
    migrate: () => db.migrate.latest({ migrationSource }),
    add: async title => (await db('books_knex').insert({ title }).returning('id'))[0].id,
    titles: () => db('books_knex').orderBy('id').pluck('title'),
    raise: (id, by) =>
      db.transaction(async tx => {
        const { price } = await tx('books_knex').where({ id }).forUpdate().first('price');
        // A transaction within it is a savepoint.
        await tx.transaction(inner =>
          inner('books_knex')
            .where({ id })
            .update({ price: price + by }),
        );
        return (await tx('books_knex').where({ id }).first('price')).price;
      }),
    failing: title =>
      db.transaction(async tx => {
        await tx('books_knex').insert({ title });
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const all = [];
      for await (const row of db('books_knex').orderBy('id').select('title').stream({ batchSize: 7 })) all.push(row.title);
      return all;
    },
    close: () => db.destroy(),
  };
});
