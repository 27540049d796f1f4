import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';

/**
 * What every client does here, in its own way of doing it. `open(url)` gives:
 *   migrate()            makes the table: id, title (unique), price
 *   add(title)           inserts a row; resolves to its id
 *   titles()             all titles in the order of their ids, read outside of a transaction
 *   raise(id, by)        in one transaction: reads the price, writes it raised, reads it again; resolves to what it read
 *   failing(title)       inserts in a transaction and throws in it
 *   stream()             all titles, fetched in pieces by a cursor or whatever the client has for large results
 *   close()
 * With UNDERSTUDY_SERVERS its plain reads must have gone to replicas. With FAILOVER it says when it is half way, and goes on when it is told that the primary is dead.
 */
export async function scenario(open) {
  let readsOnReplicas = 0;
  subscribe('understudy:route', ({ role }) => {
    if (role === 'replica') readsOnReplicas += 1;
  });
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

    if (process.env.FAILOVER) {
      process.stdout.write('half way\n');
      await once(process.stdin, 'data');
      process.stdin.destroy();
    }
    for (let i = 0; i < 10; i++) {
      const title = `later ${i}`;
      await addSurely(db, title);
      assert.equal((await db.titles()).at(-1), title, 'a read right after a write sees it');
    }

    assert.equal(await db.raise(ids[0], 5), 5, 'a transaction reads its own write');
    assert.equal(await db.raise(ids[0], 5), 10, 'and the next one what was committed');

    const before = await db.titles();
    await assert.rejects(db.failing('never'), 'a transaction that throws fails');
    await assert.rejects(db.add('book 0'), error => sqlStateOf(error) === '23505' || `not a duplicate: ${error}`);
    assert.deepEqual(await db.titles(), before, 'and leaves nothing');

    assert.deepEqual(await db.stream(), before, 'a large result comes in pieces, whole');
    // Ten after a write each, three before and after the transactions.
    if (process.env.UNDERSTUDY_SERVERS && !process.env.FAILOVER)
      assert.ok(readsOnReplicas >= 10, `${readsOnReplicas} reads went to replicas`);
    process.stdout.write('ok\n');
  } finally {
    await db.close();
  }
}

let lookedUp = 0;

/** A write that was under way when the primary died may be there or not (08007), or surely is not (57P01): whoever made it looks, once. */
async function addSurely(db, title) {
  try {
    await db.add(title);
  } catch (error) {
    if (!process.env.FAILOVER || !['08007', '57P01'].includes(sqlStateOf(error)) || lookedUp > 0) throw error;
    lookedUp += 1;
    if (!(await db.titles()).includes(title)) await db.add(title);
  }
}

/** The SQLSTATE, however deep a client has wrapped it; Prisma has a code of its own for a duplicate. */
function sqlStateOf(error) {
  for (let at = error; at; at = at.cause ?? at.driverError ?? at.original) {
    if (at.code === 'P2002') return '23505';
    if (/^[0-9A-Z]{5}$/.test(at.code)) return at.code;
  }
  return null;
}
