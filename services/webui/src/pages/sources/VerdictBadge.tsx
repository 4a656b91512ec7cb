import { Badge } from "@mantine/core";
import type { Verdict } from "../../api/verdicts";
import { reasonLabel } from "./reasons";

/** Which way a file went: into which half, or why not. */
export function VerdictBadge({ verdict }: { verdict: Verdict }) {
  const { accepted, split, reason, forced } = verdict;
  return (
    <Badge
      variant="light"
      color={accepted ? "teal" : "red"}
      tt="none"
      miw="fit-content"
      title={forced ? "Accepted although there is a reason against it" : undefined}
    >
      {accepted
        ? `accepted${split ? `, ${split}` : ""}${forced ? " (forced)" : ""}`
        : reason
          ? reasonLabel(reason)
          : "rejected"}
    </Badge>
  );
}
