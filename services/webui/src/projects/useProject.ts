import { useLocalStorage } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { type Project, projectsQuery } from "../api/projects";

/** The project that a page is about: the one in its address, else the one that was chosen last. */
export function useProject() {
  const projects = useQuery(projectsQuery);
  const [search, setSearch] = useSearchParams();
  const [kept, keep] = useLocalStorage({
    key: "hearth-project",
    defaultValue: "",
    getInitialValueInEffect: false,
  });
  const find = (id: string | null) => projects.data?.find((each) => each.project_id === id);
  const project = find(search.get("project")) ?? find(kept) ?? projects.data?.[0] ?? null;

  /** Whatever else the address says is about the project before. */
  function choose(projectId: Project["project_id"]) {
    keep(projectId);
    setSearch({ project: projectId });
  }

  return { projects, project, choose };
}
