import { Skeleton } from "@mantine/core";
import { IconDeviceFloppy } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { isOpen } from "../../api/jobs";
import { checkpointsQuery, type Run, type RunCheckpoint } from "../../api/runs";
import { DataTable } from "../../parts/DataTable";
import { EmptyState } from "../../parts/EmptyState";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { CheckpointRow } from "./CheckpointRow";
import { PublishCheckpoint } from "./PublishCheckpoint";

const COLUMNS = [
  { key: "step", head: "Checkpoint" },
  { key: "train", head: "Train loss", isNumber: true, width: 110 },
  { key: "test", head: "Test loss", isNumber: true, width: 110 },
  { key: "size", head: "Size", isNumber: true, width: 100 },
  { key: "when", head: "Written", width: 180 },
  { key: "adapter", head: "Adapter" },
  { key: "publish", head: null, width: 100 },
];

export function CheckpointTable({ run }: { run: Run }) {
  const checkpoints = useQuery(checkpointsQuery(run.run_id));
  const [publishing, setPublishing] = useState<RunCheckpoint | null>(null);
  if (checkpoints.isError) {
    return (
      <ProblemAlert
        title="The checkpoints cannot be shown"
        error={checkpoints.error}
        onRetry={() => void checkpoints.refetch()}
      />
    );
  }
  if (!checkpoints.data) {
    return <Skeleton height={160} radius="lg" aria-label="Loading" />;
  }
  return (
    <Surface label="Checkpoints">
      {checkpoints.data.length === 0 ? (
        <EmptyState icon={<IconDeviceFloppy />} title="There is no checkpoint">
          {isOpen(run.status)
            ? "The first is written when the test loss was measured a few times."
            : "It ended before one was written."}
        </EmptyState>
      ) : (
        <Row flush>
          <DataTable label="Checkpoints" columns={COLUMNS}>
            {checkpoints.data.map((checkpoint) => (
              <CheckpointRow
                key={checkpoint.checkpoint_id}
                checkpoint={checkpoint}
                onPublish={() => setPublishing(checkpoint)}
              />
            ))}
          </DataTable>
        </Row>
      )}
      <PublishCheckpoint run={run} checkpoint={publishing} onClose={() => setPublishing(null)} />
    </Surface>
  );
}
