import { Button, Collapse, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Cell, DataTable } from "../../parts/DataTable";
import { Disclosure } from "../../parts/Disclosure";
import { duration, integer, moment, plural } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { triggerWords } from "./scanWay";
import type { Scans } from "./useScans";

const COLUMNS = [
  { key: "when", head: "Started" },
  { key: "trigger", head: "Why" },
  { key: "files", head: "Accepted files", isNumber: true },
  { key: "time", head: "Time", isNumber: true },
  { key: "state", head: "State" },
  { key: "show", head: null, width: 130 },
];

/** The scans before. Any of them can be looked at, below. */
export function ScanHistory({ scans }: { scans: Scans }) {
  const [opened, { toggle }] = useDisclosure(scans.shown !== scans.latest);
  const { list, shown, choose, hasNextPage, fetchNextPage, isFetchingNextPage } = scans;
  return (
    <Stack gap="xs">
      <Disclosure
        label={
          hasNextPage
            ? "Scans before this one"
            : plural(list.length - 1, "scan before", "scans before")
        }
        opened={opened}
        onToggle={toggle}
      />
      <Collapse expanded={opened}>
        <DataTable label="Scans" columns={COLUMNS}>
          {list.map((scan) => (
            <tr key={scan.scan_id}>
              <Cell>{moment(scan.created_at)}</Cell>
              <Cell>{triggerWords(scan)}</Cell>
              <Cell isNumber label="Accepted">
                {integer(scan.counts.num_accepted_files)} of {integer(scan.counts.num_files)}
              </Cell>
              <Cell isNumber>
                {scan.finished_at > 0 && scan.started_at > 0
                  ? duration(scan.finished_at - scan.started_at)
                  : ""}
              </Cell>
              <Cell>
                <PhaseBadge phase={scan.status} />
              </Cell>
              <Cell>
                <Button
                  size="compact-xs"
                  variant={scan === shown ? "light" : "default"}
                  aria-pressed={scan === shown}
                  onClick={() => choose(scan)}
                >
                  {scan === shown ? "Shown below" : "Show its files"}
                </Button>
              </Cell>
            </tr>
          ))}
        </DataTable>
        {hasNextPage && (
          <Button
            mt="xs"
            size="xs"
            variant="default"
            loading={isFetchingNextPage}
            onClick={() => void fetchNextPage()}
          >
            Show older ones
          </Button>
        )}
      </Collapse>
    </Stack>
  );
}
