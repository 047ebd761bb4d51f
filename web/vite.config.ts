// Builds the page into dist/, from where build.rs puts it into the binary. Every asset is a file with
// a hash in its name (none inlined), because the server's content security policy allows files only.
// Beside each stands its compressed form, which the server hands to browsers that take it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { defineConfig, type Plugin } from 'vite';

function compressed(): Plugin {
  let folder = '';
  return {
    name: 'compressed',
    apply: 'build',
    configResolved: (config) => {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle: () => {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(html|js|css)$/.test(name)) continue;
        const file = join(folder, name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: '/',
  plugins: [compressed()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    license: { fileName: 'assets/licenses.txt' },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000, // livekit-client is half a megabyte, and the page is nothing without it
  },
  server: {
    // `npm run dev` shows the page as you edit it, with a running `caal serve` behind it.
    proxy: { '/api': 'http://localhost:8889', '/ready': 'http://localhost:8889' },
  },
});
