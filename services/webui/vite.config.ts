import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` shows the sources as they are edited, on the API of a running Hearth.
const hearth = process.env.HEARTH_URL ?? "http://127.0.0.1:8008";

export default defineConfig({
  plugins: [react()],
  // Addresses in the build are relative: app.py writes into index.html what a proxy puts before them.
  base: "./",
  build: {
    target: "es2023",
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // In kB. What every page needs is one chunk, a third of that when it is sent compressed.
    chunkSizeWarningLimit: 600,
  },
  server: { proxy: { "/api": hearth, "/v1": hearth } },
});
