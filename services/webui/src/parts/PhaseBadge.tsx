import { Badge, Loader, type MantineColor } from "@mantine/core";

const COLOURS: Record<string, MantineColor> = {
  ready: "teal",
  downloading: "blue",
  starting: "blue",
  warming: "blue",
  pending: "gray",
  draining: "yellow",
  degraded: "yellow",
  failed: "red",
  running: "blue",
  sending: "blue",
  fetching: "blue",
  checking: "blue",
  succeeded: "teal",
  live: "teal",
  connecting: "blue",
  reconnecting: "yellow",
};

const BUSY = new Set([
  "downloading",
  "starting",
  "warming",
  "running",
  "sending",
  "fetching",
  "checking",
  "connecting",
  "reconnecting",
]);

/** The phase of a deployment, replica or source, or the status of a process, job or connection. */
export function PhaseBadge({ phase }: { phase: string }) {
  const colour = COLOURS[phase] ?? "gray";
  return (
    <Badge
      color={colour}
      variant="light"
      tt="none"
      leftSection={BUSY.has(phase) ? <Loader size={10} color="currentColor" /> : null}
      miw="fit-content"
    >
      {phase}
    </Badge>
  );
}
