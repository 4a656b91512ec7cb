import { Badge } from "@mantine/core";
import type { Command } from "../../api/toolbox";

const COLOURS = { default: "gray", changed: "yellow", added: "blue" };

/** Whether a command is as it comes along. */
export function OriginBadge({ origin }: { origin: Command["origin"] }) {
  return (
    <Badge variant="light" color={COLOURS[origin]} tt="none" miw="fit-content">
      {origin}
    </Badge>
  );
}
