import { Badge, Loader, type MantineColor } from "@mantine/core";

const COLOURS: Record<string, MantineColor> = {
  ready: "teal",
  starting: "blue",
  pending: "gray",
  draining: "yellow",
  degraded: "yellow",
  failed: "red",
};

/** The phase of a deployment or replica, or the status of a process. */
export function PhaseBadge({ phase }: { phase: string }) {
  const colour = COLOURS[phase] ?? "gray";
  return (
    <Badge
      color={colour}
      variant="light"
      tt="none"
      leftSection={phase === "starting" ? <Loader size={10} color="currentColor" /> : null}
      miw="fit-content"
    >
      {phase}
    </Badge>
  );
}
