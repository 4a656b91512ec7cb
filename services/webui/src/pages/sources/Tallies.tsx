import { UnstyledButton } from "@mantine/core";
import type { ScanCounts } from "../../api/scans";
import { integer } from "../../parts/format";
import { reasonLabel } from "./reasons";
import classes from "./Tallies.module.css";
import type { VerdictFilters } from "./verdictFilters";

interface TalliesProps {
  counts: ScanCounts;
  filters: VerdictFilters;
  onChange: (filters: VerdictFilters) => void;
}

interface Tally {
  label: string;
  count: number;
  show: VerdictFilters["show"];
  reason: VerdictFilters["reason"];
  colour?: string;
}

/** How many files were accepted and how many rejected for which reason. Each is a filter. */
export function Tallies({ counts, filters, onChange }: TalliesProps) {
  const { num_files, num_accepted_files, reasons } = counts;
  const tallies: Tally[] = [
    { label: "All", count: num_files, show: "all", reason: "" },
    {
      label: "Accepted",
      count: num_accepted_files,
      show: "accepted",
      reason: "",
      colour: "teal-6",
    },
    {
      label: "Rejected",
      count: num_files - num_accepted_files,
      show: "rejected",
      reason: "",
      colour: "red-6",
    },
    ...reasons.map(
      ({ reason, num_files }): Tally => ({
        label: reasonLabel(reason),
        count: num_files,
        show: "rejected",
        reason,
      }),
    ),
  ];
  return (
    <fieldset className={classes.tallies} aria-label="Files by verdict">
      {tallies.map(({ label, count, show, reason, colour }) => (
        <UnstyledButton
          key={`${show} ${reason}`}
          className={classes.tally}
          aria-pressed={filters.show === show && filters.reason === reason}
          onClick={() => onChange({ ...filters, show, reason })}
        >
          {colour && (
            <span
              className={classes.dot}
              style={{ background: `var(--mantine-color-${colour})` }}
              aria-hidden
            />
          )}
          {label} <span className={classes.count}>{integer(count)}</span>
        </UnstyledButton>
      ))}
    </fieldset>
  );
}
