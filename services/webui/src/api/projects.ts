import { queryOptions, useMutation } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";

export type Project = Schemas["ProjectView"];
export type NewProject = Schemas["NewProject"];

// What one answer can hold. Nobody reads a longer list of projects.
const LONGEST_PAGE = 1000;

export const projectsQuery = queryOptions({
  queryKey: ["projects"],
  queryFn: async (): Promise<Project[]> => {
    const query = { page_size: LONGEST_PAGE };
    return (await answer(api.GET("/api/v1/projects", { params: { query } }))).projects;
  },
  // No event tells of a project that somebody else made.
  staleTime: 0,
});

const refreshProjects = () => queryClient.invalidateQueries({ queryKey: projectsQuery.queryKey });

export const useCreateProject = () =>
  useMutation({
    mutationFn: (body: NewProject) => answer(api.POST("/api/v1/projects", { body })),
    onSuccess: refreshProjects,
  });

export const useChangeProject = () =>
  useMutation({
    mutationFn: ({ projectId, ...body }: { projectId: string } & NewProject) =>
      answer(
        api.PATCH("/api/v1/projects/{project_id}", {
          params: { path: { project_id: projectId } },
          body,
        }),
      ),
    onSuccess: refreshProjects,
  });

export const useDeleteProject = () =>
  useMutation({
    mutationFn: (projectId: string) =>
      answer(
        api.DELETE("/api/v1/projects/{project_id}", {
          params: { path: { project_id: projectId } },
        }),
      ),
    onSuccess: refreshProjects,
  });
