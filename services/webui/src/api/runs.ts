import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
} from "@tanstack/react-query";
import { answer, api, queryClient, type Schemas } from "./client";
import { isOpen } from "./jobs";

export type Run = Schemas["RunView"];
export type RunPlan = Schemas["RunPlanView"];
export type RunParameter = Schemas["RunParameterView"];
export type RunCheckpoint = Schemas["CheckpointView"];
export type RunMetrics = Schemas["RunMetricsView"];
export type RunLogLine = Schemas["RunLogLineView"];
export type Adapter = Schemas["PublishedAdapterView"];
export type RunSpec = Schemas["RunSpec"];

const LIST_PAGE = 20;
// Only one run is followed by its events; this is for the others, while they are open.
const OTHERS_MS = 5_000;

/** Newest first, page by page. */
export const runsQuery = (projectId: string) =>
  infiniteQueryOptions({
    queryKey: ["runs", projectId],
    queryFn: ({ pageParam }) => {
      const query = { project_id: projectId, page_size: LIST_PAGE, page_token: pageParam };
      return answer(api.GET("/api/v1/runs", { params: { query } }));
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.next_page_token || undefined,
    staleTime: 0,
    // No event tells of a list.
    refetchInterval: ({ state }) =>
      state.data?.pages.some((page) => page.runs.some((run) => isOpen(run.status))) && OTHERS_MS,
  });

export const runQuery = (runId: string) =>
  queryOptions({
    queryKey: ["run", runId],
    queryFn: () =>
      answer(api.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: runId } } })),
  });

export const runParametersQuery = queryOptions({
  queryKey: ["run-parameters"],
  queryFn: async (): Promise<RunParameter[]> =>
    (await answer(api.GET("/api/v1/run-parameters"))).parameters,
});

/** What a run of this spec would do. The older plan stays until the newer is there. */
export const runPlanQuery = (spec: RunSpec) =>
  queryOptions({
    queryKey: ["run-plan", spec],
    queryFn: ({ signal }) => answer(api.POST("/api/v1/run-plans", { body: spec, signal })),
    placeholderData: keepPreviousData,
    // Devices are taken and given back meanwhile.
    staleTime: 0,
    gcTime: 0,
    retry: false,
  });

export const useCreateRun = () =>
  useMutation({
    mutationFn: (body: RunSpec) => answer(api.POST("/api/v1/runs", { body })),
    onSuccess: (run) => {
      queryClient.setQueryData(runQuery(run.run_id).queryKey, run);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
  });

export const useCancelRun = () =>
  useMutation({
    mutationFn: (runId: string) =>
      answer(api.POST("/api/v1/runs/{run_id}/cancel", { params: { path: { run_id: runId } } })),
    onSuccess: (run) => {
      queryClient.setQueryData(runQuery(run.run_id).queryKey, run);
      void queryClient.invalidateQueries({ queryKey: ["runs"] });
    },
  });

export const checkpointsKey = (runId: string) => ["checkpoints", runId] as const;

/** By step. */
export const checkpointsQuery = (runId: string) =>
  queryOptions({
    queryKey: checkpointsKey(runId),
    queryFn: async (): Promise<RunCheckpoint[]> => {
      const params = { path: { run_id: runId }, query: { page_size: 1000 } };
      return (await answer(api.GET("/api/v1/runs/{run_id}/checkpoints", { params }))).checkpoints;
    },
    staleTime: 0,
  });

export const usePublish = (runId: string) =>
  useMutation({
    mutationFn: ({ checkpointId, name }: { checkpointId: string; name: string }) =>
      answer(
        api.POST("/api/v1/checkpoints/{checkpoint_id}/publish", {
          params: { path: { checkpoint_id: checkpointId } },
          body: { name, note: "", tags: [] },
        }),
      ),
    onSuccess: () => {
      void queryClient.invalidateQueries({ queryKey: checkpointsKey(runId) });
      void queryClient.invalidateQueries({ queryKey: runQuery(runId).queryKey });
    },
  });
