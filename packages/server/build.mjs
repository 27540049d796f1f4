// Puts what each of our programs loads into a few files: finding and reading some two hundred modules makes up a third of what a process costs to start,
// and a cluster of three starts six of them. The modules beside them stay: they are what tests load, and what runs where there is no bundle.
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const dist = join(dirname(fileURLToPath(import.meta.url)), 'dist');
const bundle = join(dist, 'bundle');
const PROGRAMS = ['cli/main', 'agent/main', 'proxy/main', 'proxy/workers/thread'];
/** Ours, and the libraries that every process needs; the others are loaded from where they are installed, by those that need them. */
const BUNDLED = /^(?:\.{0,2}\/|@understudy\/|pg$|pg\/|pg-|pgpass$|postgres-|split2$|xtend$|zod)/;

rmSync(bundle, { recursive: true, force: true });
buildSync({
  // Flat, as deep below the package as the modules are: what they find by import.meta.url stays where it is.
  entryPoints: Object.fromEntries(PROGRAMS.map(program => [program.replaceAll('/', '-'), join(dist, `${program}.js`)])),
  outdir: bundle,
  bundle: true,
  splitting: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  external: ['pg-native', ...externals()],
  banner: { js: "import { createRequire as requireFor } from 'node:module'; const require = requireFor(import.meta.url);" },
  logLevel: 'warning',
});

/** The libraries of our packages that are not bundled. */
function externals() {
  const names = ['server', 'wire', 'core'].flatMap(name => {
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync(join(dist, '../..', name, 'package.json'), 'utf8'));
    return Object.keys({ ...dependencies, ...optionalDependencies });
  });
  return [...new Set(names)].filter(name => !BUNDLED.test(name));
}
