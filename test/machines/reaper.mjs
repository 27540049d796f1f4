// Cleans up after a test, in whatever way that ended: it reads its stdin, whose other end is in the test's process, and at its end kills what is
// left in the namespaces of the prefix and removes them, the bridge and the directory.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';

const [prefix, directory] = process.argv.slice(2);
// Ctrl-C reaches the whole group.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);
process.stdin.resume();
process.stdin.once('close', () => {
  const ip = (...args) => spawnSync('ip', args, { encoding: 'utf8' }).stdout ?? '';
  const names = ip('netns', 'list')
    .split('\n')
    .map(line => line.split(' ')[0])
    .filter(name => name.startsWith(`${prefix}-`));
  for (const name of names) {
    for (const pid of ip('netns', 'pids', name).split('\n').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // It is gone.
      }
    }
    ip('netns', 'delete', name);
  }
  ip('link', 'delete', prefix);
  rmSync(directory, { recursive: true, force: true });
});
