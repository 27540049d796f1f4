import { defineConfig } from 'vite';

/** Everything in files of its own: the page is served under a content security policy that allows nothing inline. */
export default defineConfig({
  base: './',
  build: {
    outDir: 'dist',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
});
