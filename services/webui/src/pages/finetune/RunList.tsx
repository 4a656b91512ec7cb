import { Button, Skeleton } from "@mantine/core";
import { IconAdjustmentsSpark } from "@tabler/icons-react";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import type { Project } from "../../api/projects";
import { runsQuery } from "../../api/runs";
import { DataTable } from "../../parts/DataTable";
import { EmptyState } from "../../parts/EmptyState";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { RunRow } from "./RunRow";

const COLUMNS = [
  { key: "name", head: "Name" },
  { key: "status", head: "Status", width: 130 },
  { key: "progress", head: "Progress", width: 170 },
  { key: "loss", head: "Best test loss", isNumber: true, width: 120 },
  { key: "verdict", head: "Verdict", width: 140 },
  { key: "started", head: "Started", width: 150 },
  { key: "time", head: "Time", isNumber: true, width: 100 },
];

export function RunList({ project }: { project: Project }) {
  const runs = useInfiniteQuery(runsQuery(project.project_id));
  const list = runs.data?.pages.flatMap((page) => page.runs);
  if (runs.isError && !list) {
    return (
      <ProblemAlert
        title="The fine-tunes cannot be shown"
        error={runs.error}
        onRetry={() => void runs.refetch()}
      />
    );
  }
  if (!list) {
    return <Skeleton height={200} radius="lg" aria-label="Loading" role="status" />;
  }
  if (list.length === 0) {
    return (
      <Surface>
        <EmptyState
          icon={<IconAdjustmentsSpark />}
          title="Nothing was fine-tuned yet"
          action={
            <Button
              component={Link}
              mt="sm"
              href={
                project.latest_dataset_id
                  ? `/finetune?project=${project.project_id}&new`
                  : `/sources?project=${project.project_id}`
              }
            >
              {project.latest_dataset_id ? "New fine-tune" : "Add sources"}
            </Button>
          }
        >
          {project.latest_dataset_id
            ? "A fine-tune trains a small adapter on the dataset of this project, compares it with the base on files that were held out, and serves it when it is better."
            : "A fine-tune needs a dataset, and a dataset is made of sources: add some code first."}
        </EmptyState>
      </Surface>
    );
  }
  return (
    <Surface label="Fine-tunes of the project">
      <Row flush>
        <DataTable label="Fine-tunes" columns={COLUMNS}>
          {list.map((run) => (
            <RunRow key={run.run_id} run={run} />
          ))}
        </DataTable>
      </Row>
      {runs.hasNextPage && (
        <Row>
          <Button
            size="xs"
            variant="default"
            loading={runs.isFetchingNextPage}
            onClick={() => void runs.fetchNextPage()}
          >
            Show older ones
          </Button>
        </Row>
      )}
    </Surface>
  );
}
