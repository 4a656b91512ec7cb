import { Badge, Loader, Tooltip } from "@mantine/core";
import type { LiveStatus } from "../api/live";

/** Shown only when what the page says may be old. */
export function LiveBadge({ status }: { status: LiveStatus }) {
  return (
    <div role="status">
      {status === "reconnecting" && (
        <Tooltip
          label="What you see is the last known state. It is renewed by itself."
          multiline
          w={240}
        >
          <Badge
            color="yellow"
            variant="light"
            tt="none"
            miw="fit-content"
            leftSection={<Loader size={10} color="currentColor" />}
          >
            reconnecting
          </Badge>
        </Tooltip>
      )}
    </div>
  );
}
