// The build of the page: everything ends up in files the collector serves itself, so that
// `default-src 'self'` holds: no data: URIs, no inline script, no inline style.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

/** Where `npm run dev` finds an API: the mock server unless a collector is named. */
const api = process.env.FLOWGAUGE_URL ?? 'http://127.0.0.1:10808';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // ECharts is one chunk of 550 kB (185 compressed), loaded when the first chart is drawn.
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { '/api': api, '/metrics': api } },
  // Style sheets as they are, for the test of their contrasts.
  test: { include: ['src/**/*.test.ts'], environment: 'node', css: true },
});
