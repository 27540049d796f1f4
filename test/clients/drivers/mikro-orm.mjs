import { EntitySchema, LockMode, MikroORM } from '@mikro-orm/postgresql';
import { PostgreSqlKnexDialect } from '@mikro-orm/knex';
import pg from '../door.mjs';
import { scenario } from '../scenario.mjs';

const Book = new EntitySchema({
  name: 'Book',
  tableName: 'books_mikro-orm',
  properties: {
    id: { type: 'number', primary: true },
    title: { type: 'text', unique: true },
    price: { type: 'number', default: 0 },
  },
});

/** MikroORM's own dialect of Knex, on the module that it is given. */
class Dialect extends PostgreSqlKnexDialect {
  _driver() {
    return pg;
  }
}

await scenario(async clientUrl => {
  const driverOptions = { client: Dialect };
  const orm = await MikroORM.init({ entities: [Book], clientUrl, driverOptions, pool: { min: 0, max: 8 }, allowGlobalContext: false });
  const session = () => orm.em.fork();
  return {
    migrate: () => orm.schema.createSchema(),
    add: async title => {
      const em = session();
      const book = em.create('Book', { title, price: 0 });
      await em.flush();
      return book.id;
    },
    titles: async () => (await session().findAll('Book', { orderBy: { id: 'asc' } })).map(book => book.title),
    raise: (id, by) =>
      session().transactional(async em => {
        const book = await em.findOneOrFail('Book', { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
        // A transaction within it is a savepoint.
        await em.transactional(async inner => {
          (await inner.findOneOrFail('Book', { id })).price += by;
        });
        await em.refresh(book);
        return book.price;
      }),
    failing: title =>
      session().transactional(async em => {
        em.create('Book', { title, price: 0 });
        await em.flush();
        throw new Error('changed my mind');
      }),
    stream: async () => {
      // The cursor of Knex, which MikroORM 6 stands on.
      const all = [];
      for await (const row of orm.em.getKnex()('books_mikro-orm').orderBy('id').select('title').stream({ batchSize: 7 }))
        all.push(row.title);
      return all;
    },
    close: () => orm.close(),
  };
});
