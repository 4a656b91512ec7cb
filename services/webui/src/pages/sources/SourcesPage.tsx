import { ProjectPage } from "../../projects/ProjectPage";
import { ProjectSources } from "./ProjectSources";

export default function SourcesPage() {
  return (
    <ProjectPage
      title="Sources"
      about="The code that a model learns from: what is taken, what is left out, and why."
    >
      {(project) => <ProjectSources key={project.project_id} project={project} />}
    </ProjectPage>
  );
}
