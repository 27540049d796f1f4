import { lockDirectory } from '../../src/supervisor/lock.ts';

/** Tries to lock each of the given paths, one after the other as fast as it can, and says which it got. */
process.once('message', (paths: readonly string[]) => {
  const won = paths.filter(path => {
    try {
      lockDirectory(path);
      return true;
    } catch {
      return false;
    }
  });
  process.send?.({ won });
});
// What it has won is its own only as long as it lives; the test ends it.
setInterval(() => undefined, 60_000);
process.send?.('ready');
