import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const integration = fileURLToPath(new URL('../integration/', import.meta.url));
const page = readFileSync(fileURLToPath(new URL('../../../../docs/compatibility.md', import.meta.url)), 'utf8');

/** Numbers of the traps that some test of the proxy is named after. */
function tested(): ReadonlySet<number> {
  const files = readdirSync(integration).filter(name => /^proxy-.*\.test\.ts$/.test(name));
  const titles = files.flatMap(name => [...readFileSync(integration + name, 'utf8').matchAll(/['"`]trap (\d+):/g)]);
  return new Set(titles.map(([, number]) => Number(number)));
}

test('every trap of docs/compatibility.md is a test, or says why it is none', () => {
  const rows = [...page.matchAll(/^\| (\d+) \| .+ \| (tested|not here: .{20,}) \|$/gm)];
  expect(rows.map(([, number]) => Number(number))).toEqual(Array.from({ length: 45 }, (_, i) => i + 1));
  const said = rows.filter(([, , how]) => how === 'tested').map(([, number]) => Number(number));
  expect([...tested()].sort((a, b) => a - b)).toEqual(said);
});
