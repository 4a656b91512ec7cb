import { Alert, Button, Group, Progress, Stack, Text } from "@mantine/core";
import { IconPlayerStop } from "@tabler/icons-react";
import { useState } from "react";
import { isOpen } from "../../api/jobs";
import type { Scan } from "../../api/scans";
import { duration, integer, moment, percent, plural, short } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { PhaseSteps } from "../../parts/PhaseSteps";
import { RecordLine } from "../../parts/RecordLine";
import { useNow } from "../../parts/useNow";
import { CancelScan } from "./CancelScan";
import { StartScan } from "./StartScan";
import { SCAN_STEPS, scanStep, triggerWords } from "./scanWay";

function took({ started_at, finished_at }: Scan, now: number): string | false {
  return started_at > 0 && `took ${duration((finished_at || now) - started_at)}`;
}

/** What it works on, such as "1,024 of 4,096 files, 310 files/s, 2 min left". */
function pace(scan: Scan): string {
  const { progress } = scan;
  if (scan.status === "queued" || !progress) {
    return "Waits for a worker";
  }
  const { num_done, num_total, files_per_second, remaining_seconds } = progress;
  const done =
    num_total > 0
      ? `${integer(num_done)} of ${plural(num_total, "file")}`
      : plural(num_done, "file");
  return [
    progress.message || done,
    files_per_second > 0 && `${short(Number(files_per_second.toPrecision(3)))} files/s`,
    typeof remaining_seconds === "number" && `${duration(remaining_seconds)} left`,
  ]
    .filter(Boolean)
    .join(", ");
}

export function ScanState({ scan, hasSources }: { scan: Scan; hasSources: boolean }) {
  const [cancelling, setCancelling] = useState(false);
  const open = isOpen(scan.status);
  const now = useNow(open ? 1 : 60);
  const { counts } = scan;
  const total = scan.progress?.num_total ?? 0;
  return (
    <Stack gap="md">
      <RecordLine
        name={`Scan of ${moment(scan.created_at)}`}
        facts={[
          triggerWords(scan),
          !open && took(scan, now),
          counts.num_files > 0 &&
            `${integer(counts.num_accepted_files)} of ${plural(counts.num_files, "file")} accepted`,
        ]}
        aside={
          <Group gap="sm">
            <PhaseBadge phase={scan.status} />
            {open ? (
              <Button
                variant="default"
                size="xs"
                leftSection={<IconPlayerStop size={16} aria-hidden />}
                onClick={() => setCancelling(true)}
              >
                Cancel
              </Button>
            ) : (
              hasSources && <StartScan projectId={scan.project_id} isFirst={false} />
            )}
          </Group>
        }
        wideAside
      />
      {open && (
        <>
          <PhaseSteps
            label="Phases of the scan"
            phases={SCAN_STEPS}
            current={scanStep(scan)}
            isStopped={false}
          />
          <div>
            <Progress
              value={100 * (scan.progress?.fraction ?? 0)}
              animated={total === 0}
              aria-label="Progress of this phase"
            />
            <Group justify="space-between" gap="xs" mt={6}>
              <Text size="sm" c="dimmed">
                {pace(scan)}
              </Text>
              <Text size="sm" c="dimmed">
                {percent(scan.progress?.fraction ?? 0)}
              </Text>
            </Group>
          </div>
        </>
      )}
      {scan.status === "failed" && (
        <Alert color="red" title="The scan failed">
          {scan.error || "It gave no reason. The dataset before it stays in force."}
        </Alert>
      )}
      {scan.status === "cancelled" && (
        <Text size="sm" c="dimmed">
          It was cancelled, by a person or by a newer scan. The dataset before it stays in force.
        </Text>
      )}
      {scan.model && scan.loss_skipped_reason && (
        <Alert color="yellow" title="Files were not scored">
          {scan.loss_skipped_reason}
        </Alert>
      )}
      <CancelScan scan={scan} opened={cancelling && open} onClose={() => setCancelling(false)} />
    </Stack>
  );
}
