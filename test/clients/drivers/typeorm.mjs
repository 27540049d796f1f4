import { DataSource, EntitySchema } from 'typeorm';
import pg from '../door.mjs';
import { scenario } from '../scenario.mjs';

const Book = new EntitySchema({
  name: 'Book',
  tableName: 'books_typeorm',
  columns: {
    id: { type: Number, primary: true, generated: 'increment' },
    title: { type: String, unique: true },
    price: { type: Number, default: 0 },
  },
});

class Books1700000000000 {
  async up(runner) {
    await runner.query('CREATE TABLE books_typeorm (id serial PRIMARY KEY, title varchar NOT NULL UNIQUE, price int NOT NULL DEFAULT 0)');
  }
  async down(runner) {
    await runner.query('DROP TABLE books_typeorm');
  }
}

await scenario(async url => {
  const source = new DataSource({
    type: 'postgres',
    url,
    driver: pg,
    entities: [Book],
    migrations: [Books1700000000000],
    installExtensions: false,
  });
  await source.initialize();
  const books = source.getRepository(Book);
  return {
    migrate: () => source.runMigrations(),
    add: async title => (await books.save({ title })).id,
    titles: async () => (await books.find({ order: { id: 'ASC' } })).map(book => book.title),
    raise: (id, by) =>
      source.transaction('SERIALIZABLE', async manager => {
        const book = await manager.findOneOrFail(Book, { where: { id }, lock: { mode: 'pessimistic_write' } });
        await manager.update(Book, id, { price: book.price + by });
        return (await manager.findOneByOrFail(Book, { id })).price;
      }),
    failing: title =>
      source.transaction(async manager => {
        await manager.save(Book, { title });
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const titles = [];
      const runner = source.createQueryRunner();
      for await (const row of await books.createQueryBuilder('b', runner).select('b.title', 'title').orderBy('b.id').stream())
        titles.push(row.title);
      await runner.release();
      return titles;
    },
    close: () => source.destroy(),
  };
});
