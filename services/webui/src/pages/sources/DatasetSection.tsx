import { Skeleton } from "@mantine/core";
import { IconDatabaseOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { datasetsQuery } from "../../api/datasets";
import { isOpen } from "../../api/jobs";
import type { Project } from "../../api/projects";
import type { Scan } from "../../api/scans";
import { EmptyState } from "../../parts/EmptyState";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { DatasetCard } from "./DatasetCard";

interface DatasetSectionProps {
  project: Project;
  latest: Scan | undefined;
}

export function DatasetSection({ project, latest }: DatasetSectionProps) {
  const datasets = useQuery(datasetsQuery(project.project_id));
  // The same content makes the same dataset, so the newest need not be that of the latest scan.
  const inForce =
    datasets.data?.find((dataset) => dataset.dataset_id === latest?.dataset_id) ??
    datasets.data?.[0];
  if (datasets.isError) {
    return (
      <ProblemAlert
        title="The dataset cannot be shown"
        error={datasets.error}
        onRetry={() => void datasets.refetch()}
      />
    );
  }
  if (!datasets.data) {
    return <Skeleton height={180} radius="lg" />;
  }
  return (
    <Surface label="Dataset in force">
      {inForce ? (
        <Row>
          <DatasetCard dataset={inForce} project={project} />
        </Row>
      ) : (
        <EmptyState icon={<IconDatabaseOff />} title="There is no dataset yet">
          {latest && isOpen(latest.status)
            ? "The scan makes one of the files that it accepts."
            : "A scan that succeeds makes one of the files that it accepts."}
        </EmptyState>
      )}
    </Surface>
  );
}
