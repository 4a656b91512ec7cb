import "./styles";
import { MantineProvider } from "@mantine/core";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { queryClient } from "./api/client";
import { CrashBoundary } from "./parts/CrashBoundary";
import { pathBelow, place } from "./place";
import { theme } from "./theme";

const root = document.getElementById("root");
if (!root) {
  throw new Error("index.html has no element #root");
}
const { pathname, search, hash } = window.location;
window.history.replaceState(null, "", pathBelow(pathname, place) + search + hash);
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <CrashBoundary>
        <QueryClientProvider client={queryClient}>
          <App />
        </QueryClientProvider>
      </CrashBoundary>
    </MantineProvider>
  </StrictMode>,
);
