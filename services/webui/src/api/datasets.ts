import { queryOptions } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";

export type Dataset = Schemas["DatasetView"];
export type DatasetPart = Dataset["train"];

const SHOWN = 50;

/** Newest first. */
export const datasetsQuery = (projectId: string) =>
  queryOptions({
    queryKey: ["datasets", projectId],
    queryFn: async (): Promise<Dataset[]> => {
      const params = { path: { project_id: projectId }, query: { page_size: SHOWN } };
      return (await answer(api.GET("/api/v1/projects/{project_id}/datasets", { params }))).datasets;
    },
    staleTime: 0,
  });

export const datasetQuery = (datasetId: string) =>
  queryOptions({
    queryKey: ["dataset", datasetId],
    queryFn: () =>
      answer(
        api.GET("/api/v1/datasets/{dataset_id}", { params: { path: { dataset_id: datasetId } } }),
      ),
  });

export const refreshDatasets = (projectId: string) =>
  queryClient.invalidateQueries({ queryKey: datasetsQuery(projectId).queryKey });
