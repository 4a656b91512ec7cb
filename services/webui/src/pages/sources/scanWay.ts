import type { Scan } from "../../api/scans";

/** What a scan does, in order. Fetching is of sources that are no uploads. */
const PHASES = ["filtering", "scoring", "writing"] as const;

export const SCAN_STEPS = ["Waiting", "Filtering", "Scoring", "Writing"];

/** Index in SCAN_STEPS of what it does; as many as there are when it has succeeded. */
export function scanStep({ status, phase, progress }: Scan): number {
  if (status === "succeeded") {
    return SCAN_STEPS.length;
  }
  if (status === "queued") {
    return 0;
  }
  const known = (PHASES as readonly (string | null)[]).indexOf(phase);
  // A scan that ended early does not tell in which phase.
  return known >= 0 ? known + 1 : progress?.num_scored_files ? 2 : 1;
}

const TRIGGERS: Record<Scan["trigger"], string> = {
  user: "started by hand",
  sources: "sources changed",
  filters: "filters changed",
};

export const triggerWords = ({ trigger }: Scan): string => TRIGGERS[trigger];
