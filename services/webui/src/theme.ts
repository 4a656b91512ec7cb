import { createTheme, type MantineColorsTuple } from "@mantine/core";

// White text on shade 7 has a contrast of 5.0, shade 4 on the dark background 7.3.
const ember: MantineColorsTuple = [
  "#fff3ec",
  "#ffe4d3",
  "#fdc9a8",
  "#fbaa78",
  "#f78b4c",
  "#ee6e26",
  "#dd5a12",
  "#c2470c",
  "#9f390e",
  "#7f2f0f",
];

export const theme = createTheme({
  colors: { ember },
  primaryColor: "ember",
  primaryShade: 7,
  defaultRadius: "md",
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", sans-serif',
  fontFamilyMonospace:
    'ui-monospace, "SF Mono", "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: "650" },
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    // Its own track has the colour of a dark page, and can not be seen there.
    SegmentedControl: {
      styles: {
        root: {
          background: "var(--hearth-sunken)",
          boxShadow: "inset 0 0 0 1px var(--hearth-line)",
        },
      },
    },
    Modal: { styles: { title: { fontWeight: 650, fontSize: "var(--mantine-font-size-lg)" } } },
  },
});
