import { PrismaPg } from '@prisma/adapter-pg';
import pg from '../door.mjs';
import { PrismaClient } from '../prisma/client.mjs';
import { scenario } from '../scenario.mjs';

await scenario(async url => {
  const prisma = new PrismaClient({ adapter: new PrismaPg(new pg.Pool({ connectionString: url, max: 8 }), { disposeExternalPool: true }) });
  return {
    migrate: () =>
      prisma.$executeRawUnsafe(
        'CREATE TABLE books_prisma (id serial PRIMARY KEY, title text UNIQUE NOT NULL, price int NOT NULL DEFAULT 0)',
      ),
    add: async title => (await prisma.book.create({ data: { title } })).id,
    titles: async () => (await prisma.book.findMany({ orderBy: { id: 'asc' } })).map(book => book.title),
    raise: (id, by) =>
      prisma.$transaction(
        async tx => {
          const { price } = await tx.book.findUniqueOrThrow({ where: { id } });
          await tx.book.update({ where: { id }, data: { price: price + by } });
          return (await tx.book.findUniqueOrThrow({ where: { id } })).price;
        },
        { isolationLevel: 'RepeatableRead', timeout: 60_000, maxWait: 60_000 },
      ),
    failing: title =>
      prisma.$transaction(async tx => {
        await tx.book.create({ data: { title } });
        throw new Error('changed my mind');
      }),
    stream: async () => {
      const titles = [];
      for (let after = 0; ; ) {
        const page = await prisma.book.findMany({ where: { id: { gt: after } }, orderBy: { id: 'asc' }, take: 7 });
        titles.push(...page.map(book => book.title));
        if (page.length < 7) return titles;
        after = page.at(-1).id;
      }
    },
    close: () => prisma.$disconnect(),
  };
});
