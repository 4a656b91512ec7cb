import { Drawer } from "@mantine/core";
import { useState } from "react";
import type { Verdict } from "../../api/verdicts";
import { FileView } from "./FileView";

/** A file of the scan, beside the table. */
export function FileDrawer({ verdict, onClose }: { verdict: Verdict | null; onClose: () => void }) {
  // What was shown stays while the drawer goes away.
  const [shown, setShown] = useState(verdict);
  if (verdict && verdict !== shown) {
    setShown(verdict);
  }
  return (
    <Drawer
      opened={verdict !== null}
      onClose={onClose}
      position="right"
      size="min(880px, 100%)"
      title={shown?.path}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{
        title: {
          fontFamily: "var(--mantine-font-family-monospace)",
          fontSize: "var(--mantine-font-size-sm)",
          fontWeight: 600,
          overflowWrap: "anywhere",
        },
      }}
    >
      {shown && <FileView verdict={shown} />}
    </Drawer>
  );
}
