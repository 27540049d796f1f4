import { DataTypes, QueryTypes, Sequelize, Transaction } from 'sequelize';
import pg from '../door.mjs';
import { scenario } from '../scenario.mjs';

await scenario(async url => {
  const db = new Sequelize(url, { dialectModule: pg, logging: false, pool: { max: 8 } });
  const Book = db.define(
    'book',
    {
      title: { type: DataTypes.TEXT, unique: true, allowNull: false },
      price: { type: DataTypes.INTEGER, defaultValue: 0, allowNull: false },
    },
    { tableName: 'books_sequelize', timestamps: false },
  );
  return {
    migrate: () => db.sync(),
    add: async title => (await Book.create({ title })).get('id'),
    titles: async () => (await Book.findAll({ order: ['id'] })).map(book => book.get('title')),
    raise: (id, by) =>
      db.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.REPEATABLE_READ }, async transaction => {
        const book = await Book.findByPk(id, { transaction, lock: true });
        // A transaction within it is a savepoint.
        await db.transaction({ transaction }, inner => book.update({ price: book.get('price') + by }, { transaction: inner }));
        return (await Book.findByPk(id, { transaction })).get('price');
      }),
    failing: title =>
      db.transaction(async transaction => {
        await Book.create({ title }, { transaction });
        throw new Error('changed my mind');
      }),
    stream: async () => {
      // Sequelize has no cursor: one of SQL, in a transaction.
      const titles = [];
      await db.transaction({ readOnly: true }, async transaction => {
        await db.query('DECLARE all_titles CURSOR FOR SELECT title FROM books_sequelize ORDER BY id', { transaction });
        for (;;) {
          const rows = await db.query('FETCH 7 FROM all_titles', { transaction, type: QueryTypes.SELECT });
          titles.push(...rows.map(row => row.title));
          if (rows.length < 7) return;
        }
      });
      return titles;
    },
    close: () => db.close(),
  };
});
