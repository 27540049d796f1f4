import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Programs that come from Debian packages: CI must have them, elsewhere their tests are skipped with a line that says so. */
export async function hasPrograms(...names: readonly string[]): Promise<boolean> {
  for (const name of names) {
    const found = await run('sh', ['-c', `command -v ${name}`]).then(
      () => true,
      () => false,
    );
    if (found) continue;
    if (process.env['CI'] === 'true') throw new Error(`CI needs ${name}; see .ci/run`);
    console.warn(`skipped: tests with ${name}, which is not installed`);
    return false;
  }
  return true;
}
