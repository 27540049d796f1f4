// Makes what is published out of what tsc has built: one CommonJS file with everything of our own in it, an ES module that only hands it on, and the types of both.
// One implementation, however it is loaded: two would be two routers that know nothing of each other's commits.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const dist = join(dirname(fileURLToPath(import.meta.url)), 'dist');
const types = join(dist, 'types');

const { metafile } = buildSync({
  entryPoints: [join(dist, 'index.js')],
  outfile: join(dist, 'index.cjs'),
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  external: ['pg', 'pg/*', 'pg-connection-string', 'libpg-query'],
  // Test runners for CommonJS know no import().
  supported: { 'dynamic-import': false },
  metafile: true,
});
const names = Object.values(metafile.outputs)
  .flatMap(output => output.exports)
  .concat(exportsOf(readFileSync(join(dist, 'index.js'), 'utf8')));
const named = [...new Set(names)].filter(name => name !== 'default').sort();
writeFileSync(
  join(dist, 'index.mjs'),
  `import client from './index.cjs';\n\nexport const {\n${named.map(name => `  ${name},\n`).join('')}} = client;\nexport default client.default;\n`,
);

/** The names that a module of tsc's output exports. */
function exportsOf(text) {
  const lists = [...text.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) => list.split(','));
  const aliases = lists.map(item =>
    item
      .trim()
      .split(/\s+as\s+/)
      .at(-1),
  );
  const constants = [...text.matchAll(/^export (?:const|class|function) (\w+)/gm)].map(([, name]) => name);
  return [...aliases, ...constants].filter(name => name !== '');
}

// Where this package is installed under the name of pg, others look for pg's parts in it.
const lib = join(dist, 'lib');
rmSync(lib, { recursive: true, force: true });
mkdirSync(lib);
for (const file of readdirSync(dirname(createRequire(import.meta.url).resolve('pg/lib/utils.js')))) {
  if (file.endsWith('.js')) writeFileSync(join(lib, file.replace(/\.js$/, '.cjs')), `module.exports = require('pg/lib/${file}');\n`);
}

// The declarations that the entry reaches, in the dialect of either kind of module.
rmSync(types, { recursive: true, force: true });
const seen = new Set();
const queue = [join(dist, 'index.d.ts')];
for (const file of queue) {
  if (seen.has(file)) continue;
  seen.add(file);
  const text = readFileSync(file, 'utf8').replace(/^\/\/# sourceMappingURL.*$/m, '');
  const specifiers = [...text.matchAll(/\b(?:from|import\()\s*'([^']+)'/g)].map(([, specifier]) => specifier);
  for (const specifier of specifiers) {
    if (specifier.startsWith('.')) queue.push(join(dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts')));
    else if (!/^(?:pg|node:.*)$/.test(specifier))
      throw new Error(`the types of ${relative(dist, file)} need ${specifier}, which is not installed with the client`);
  }
  const to = join(types, relative(dist, file));
  mkdirSync(dirname(to), { recursive: true });
  const asModule = text.replace(/'(\.{1,2}\/[^']+)\.[jt]s'/g, "'$1.mjs'");
  writeFileSync(to.replace(/\.d\.ts$/, '.d.mts'), asModule);
  const asCommonJs = text
    .replace(/'(\.{1,2}\/[^']+)\.[jt]s'/g, "'$1.cjs'")
    .replace(/^import (?:type )?pg from 'pg';$/m, "import pg = require('pg');");
  writeFileSync(to.replace(/\.d\.ts$/, '.d.cts'), asCommonJs);
}
