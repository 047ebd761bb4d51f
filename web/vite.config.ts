// Builds the page into dist/, from where build.rs puts it into the binary. Every asset is a file with
// a hash in its name (none inlined), because the server's content security policy allows files only.
// Beside each stands its compressed form, which the server hands to browsers that take it.
import { createHash } from 'node:crypto';
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

/** head/theme.js goes before everything else, as the one script that the first paint waits for. */
function themeFirst(): Plugin {
  const source = readFileSync(new URL('head/theme.js', import.meta.url), 'utf8');
  const fileName = `assets/theme-${createHash('sha256').update(source).digest('base64url').slice(0, 8)}.js`;
  return {
    name: 'theme-first',
    apply: 'build',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source });
    },
    transformIndexHtml: () => [{ tag: 'script', attrs: { src: `/${fileName}` }, injectTo: 'head-prepend' }],
  };
}

export default defineConfig({
  base: '/',
  plugins: [themeFirst(), compressed()],
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
