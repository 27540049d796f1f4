/**
 * Where one of our programs lies: `proxy/main`, say. As a file of the bundle when we run from that ourselves (build.mjs), else as the module
 * that was compiled, or the source when we run from source.
 */
export function programUrl(program: string): URL {
  if (import.meta.url.includes('/dist/bundle/')) return new URL(`./${program.replaceAll('/', '-')}.js`, import.meta.url);
  return new URL(`./${program}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);
}
