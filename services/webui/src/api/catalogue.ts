import { queryOptions, useMutation } from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";

export type CatalogueModel = Schemas["ListedModelView"];
export type Weights = CatalogueModel["weights"];
export type NewModel = Schemas["NewModel"];
/** What its files do not say; 0 and "" leave it to them. */
export type ModelOverrides = Omit<NewModel, "name" | "hub_id" | "local_path" | "revision">;

const MOVING_MS = 2_000;

/** Every model that may be hosted, with the state of its weights. */
export const catalogueQuery = queryOptions({
  queryKey: ["catalogue"],
  queryFn: () => answer(api.GET("/api/v1/models")),
  staleTime: 0,
  // No event tells of weights.
  refetchInterval: ({ state }) =>
    state.data?.some(({ weights }) => weights.state === "downloading") && MOVING_MS,
});

const refresh = () => queryClient.invalidateQueries({ queryKey: catalogueQuery.queryKey });

const pathOf = (name: string) => ({ params: { path: { name } } });

export const useAddModel = () =>
  useMutation({
    mutationFn: (body: NewModel) => answer(api.POST("/api/v1/models", { body })),
    onSuccess: refresh,
  });

export const useRemoveModel = () =>
  useMutation({
    mutationFn: (name: string) => answer(api.DELETE("/api/v1/models/{name}", pathOf(name))),
    onSuccess: refresh,
  });

/** Goes on from what has come. */
export const useDownloadWeights = () =>
  useMutation({
    mutationFn: (name: string) => answer(api.POST("/api/v1/models/{name}/download", pathOf(name))),
    onSettled: refresh,
  });

export const useCancelDownload = () =>
  useMutation({
    mutationFn: (name: string) =>
      answer(api.POST("/api/v1/models/{name}/download/cancel", pathOf(name))),
    onSettled: refresh,
  });

export const useDeleteWeights = () =>
  useMutation({
    mutationFn: (name: string) => answer(api.DELETE("/api/v1/models/{name}/weights", pathOf(name))),
    onSuccess: refresh,
  });
