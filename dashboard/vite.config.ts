import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// `DURE_SERVER=http://127.0.0.1:3873 npm run dev` shows the sources as they are edited, and lets that server answer.
const server = process.env['DURE_SERVER'] ?? 'http://127.0.0.1:3873';

export default defineConfig({
  plugins: [react()],
  publicDir: false,
  build: {
    outDir: '.out',
    emptyOutDir: true,
    target: ['chrome123', 'firefox121', 'safari17.5'],
    // The page's policy allows scripts and styles from files alone.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1500,
  },
  server: { proxy: { '/v1': server, '/readyz': server } },
});
