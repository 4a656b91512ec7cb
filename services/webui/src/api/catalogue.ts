import { queryOptions } from "@tanstack/react-query";
import { answer, api, type Schemas } from "./client";

export type CatalogueModel = Schemas["ListedModelView"];
export type Weights = CatalogueModel["weights"];

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
