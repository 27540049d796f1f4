import assert from 'node:assert/strict';

/**
 * What every client does here, in its own way of doing it. `open(url)` gives:
 *   migrate()            makes the table: id, title (unique), price
 *   add(title)           inserts a row; resolves to its id
 *   titles()             all titles in the order of their ids, read outside of a transaction
 *   raise(id, by)        in one transaction: reads the price, writes it raised, reads it again; resolves to what it read
 *   failing(title)       inserts in a transaction and throws in it
 *   stream()             all titles, fetched in pieces by a cursor or whatever the client has for large results
 *   close()
 */
export async function scenario(open) {
  const db = await open(process.argv[2]);
  try {
    await db.migrate();
    const titles = Array.from({ length: 40 }, (_, i) => `book ${i}`);
    const ids = await Promise.all(titles.map(title => db.add(title)));
    assert.equal(new Set(ids).size, titles.length, 'every row has an id of its own');
    const byId = titles.map((title, i) => ({ title, id: ids[i] })).sort((a, b) => a.id - b.id);
    assert.deepEqual(
      await db.titles(),
      byId.map(row => row.title),
      'all rows that were acknowledged are read',
    );

    for (let i = 0; i < 10; i++) {
      const title = `later ${i}`;
      await db.add(title);
      assert.equal((await db.titles()).at(-1), title, 'a read right after a write sees it');
    }

    assert.equal(await db.raise(ids[0], 5), 5, 'a transaction reads its own write');
    assert.equal(await db.raise(ids[0], 5), 10, 'and the next one what was committed');

    const before = await db.titles();
    await assert.rejects(db.failing('never'), 'a transaction that throws fails');
    await assert.rejects(db.add('book 0'), error => codeOf(error) === '23505' || `not a duplicate: ${error}`);
    assert.deepEqual(await db.titles(), before, 'and leaves nothing');

    assert.deepEqual(await db.stream(), before, 'a large result comes in pieces, whole');
    process.stdout.write('ok\n');
  } finally {
    await db.close();
  }
}

/** The SQLSTATE, however deep a client has wrapped it; Prisma has a code of its own for it. */
function codeOf(error) {
  for (let at = error; at; at = at.cause ?? at.driverError) {
    if (at.code === '23505' || at.code === 'P2002') return '23505';
  }
  return null;
}
