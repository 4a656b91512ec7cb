import { Group, Skeleton, Stack } from "@mantine/core";
import type { ReactNode } from "react";
import type { Project } from "../api/projects";
import { Page } from "../parts/Page";
import { ProblemAlert } from "../parts/ProblemAlert";
import { NoProject } from "./NoProject";
import { ProjectPicker } from "./ProjectPicker";
import { useProject } from "./useProject";

interface ProjectPageProps {
  title: string;
  about: string;
  /** Beside the choice of the project. */
  action?: (project: Project) => ReactNode;
  children: (project: Project) => ReactNode;
}

/** A page about one project: lets choose it, and says what to do while there is none. */
export function ProjectPage({ title, about, action, children }: ProjectPageProps) {
  const { projects, project, choose } = useProject();
  const picker = project && projects.data && (
    <Group gap="sm">
      <ProjectPicker projects={projects.data} project={project} onChoose={choose} />
      {action?.(project)}
    </Group>
  );
  return (
    <Page title={title} about={about} action={picker}>
      {project ? (
        children(project)
      ) : projects.data ? (
        <NoProject onCreated={choose} />
      ) : projects.isError ? (
        <ProblemAlert
          title="The projects cannot be shown"
          error={projects.error}
          onRetry={() => void projects.refetch()}
        />
      ) : (
        <Stack aria-label="Loading" role="status">
          <Skeleton height={120} radius="lg" />
          <Skeleton height={220} radius="lg" />
        </Stack>
      )}
    </Page>
  );
}
