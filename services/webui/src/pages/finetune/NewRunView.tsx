import { Button, Skeleton, Stack } from "@mantine/core";
import { IconDatabaseOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { datasetsQuery } from "../../api/datasets";
import type { Project } from "../../api/projects";
import { clusterQuery } from "../../api/queries";
import { runParametersQuery } from "../../api/runs";
import { EmptyState } from "../../parts/EmptyState";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Surface } from "../../parts/Surface";
import { BackToRuns } from "./BackToRuns";
import { RunForm } from "./RunForm";

interface NewRunViewProps {
  project: Project;
  /** "" for the latest. */
  datasetId: string;
}

/** Fetches what the form for a new run needs, and says what is missing. */
export function NewRunView({ project, datasetId }: NewRunViewProps) {
  const datasets = useQuery(datasetsQuery(project.project_id));
  const parameters = useQuery(runParametersQuery);
  const cluster = useQuery(clusterQuery);
  const problem = datasets.error ?? parameters.error ?? cluster.error;
  const able = cluster.data?.models.filter((model) => model.supports_finetune);
  const usable = datasets.data?.filter((dataset) => dataset.train.num_files > 0);

  function body() {
    if (problem) {
      return (
        <ProblemAlert
          title="The form cannot be shown"
          error={problem}
          onRetry={() => {
            void datasets.refetch();
            void parameters.refetch();
            void cluster.refetch();
          }}
        />
      );
    }
    if (!usable || !parameters.data || !able) {
      return <Skeleton height={360} radius="lg" aria-label="Loading" role="status" />;
    }
    if (usable.length === 0) {
      return (
        <Surface>
          <EmptyState
            icon={<IconDatabaseOff />}
            title="There is no dataset to train on"
            action={
              <Button component={Link} href={`/sources?project=${project.project_id}`} mt="sm">
                Go to the sources
              </Button>
            }
          >
            A dataset is made of the files that a scan accepts, and this project has none with files
            to train on yet.
          </EmptyState>
        </Surface>
      );
    }
    return (
      <RunForm
        project={project}
        datasets={usable}
        datasetId={usable.find((each) => each.dataset_id === datasetId)?.dataset_id ?? ""}
        models={able.map((model) => model.name)}
        parameters={parameters.data}
      />
    );
  }

  return (
    <Stack gap="sm">
      <BackToRuns projectId={project.project_id} />
      {body()}
    </Stack>
  );
}
