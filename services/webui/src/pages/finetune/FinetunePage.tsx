import { Button } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { useEffect } from "react";
import { Link, useSearchParams } from "wouter";
import { ProjectPage } from "../../projects/ProjectPage";
import { NewRunView } from "./NewRunView";
import { RunDetail } from "./RunDetail";
import { RunList } from "./RunList";

/** The list of runs, one of them, or the form for a new one: as the address says. */
export default function FinetunePage() {
  const [search] = useSearchParams();
  const runId = search.get("run");
  const datasetId = search.get("new");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another view begins at its top
  useEffect(() => void window.scrollTo(0, 0), [runId, datasetId === null]);
  return (
    <ProjectPage
      title="Fine-tune"
      about="Makes a model better at your code, and measures whether it is."
      action={(project) =>
        datasetId === null && (
          <Button
            component={Link}
            href={`/finetune?project=${project.project_id}&new`}
            leftSection={<IconPlus size={16} aria-hidden />}
          >
            New fine-tune
          </Button>
        )
      }
    >
      {(project) =>
        runId ? (
          <RunDetail key={runId} runId={runId} projectId={project.project_id} />
        ) : datasetId !== null ? (
          <NewRunView
            key={`${project.project_id} ${datasetId}`}
            project={project}
            datasetId={datasetId}
          />
        ) : (
          <RunList key={project.project_id} project={project} />
        )
      }
    </ProjectPage>
  );
}
