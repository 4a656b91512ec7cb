import { queryOptions, useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { answer, api, queryClient, type Schemas } from "./client";
import type { ServerEvent } from "./eventStream";
import { type FollowStatus, follow } from "./follow";
import { refreshScans } from "./scans";

export type Source = Schemas["SourceView"];
export type Split = Source["split"];

const LONGEST_PAGE = 1000;

export const sourcesQuery = (projectId: string) =>
  queryOptions({
    queryKey: ["sources", projectId],
    queryFn: async (): Promise<Source[]> => {
      const params = { path: { project_id: projectId }, query: { page_size: LONGEST_PAGE } };
      return (await answer(api.GET("/api/v1/projects/{project_id}/sources", { params }))).sources;
    },
  });

/** The sources after some events of the project. */
export function withEvents(sources: Source[], events: ServerEvent[]): Source[] {
  const found = new Map(sources.map((source) => [source.source_id, source]));
  for (const event of events) {
    if (event.name === "source") {
      const source = JSON.parse(event.data) as Source;
      found.set(source.source_id, source);
    } else if (event.name === "deleted") {
      found.delete((JSON.parse(event.data) as { source_id: string }).source_id);
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Keeps the sources of a project as they are, while the page is open. */
export function useLiveSources(projectId: string): FollowStatus {
  const [status, setStatus] = useState<FollowStatus>("connecting");
  useEffect(() => {
    const { queryKey } = sourcesQuery(projectId);
    let wasCut = false;
    return follow({
      path: `/api/v1/projects/${projectId}/sources/events`,
      listen: (events) => {
        queryClient.setQueryData(queryKey, (sources) => sources && withEvents(sources, events));
        // A change of a source starts a scan, of which no event tells.
        refreshScans(projectId);
      },
      report: (next) => {
        if (next === "live" && wasCut) {
          // What was deleted meanwhile is told by the whole list only.
          void queryClient.invalidateQueries({ queryKey });
        }
        wasCut = next === "reconnecting";
        setStatus(next);
      },
      isOver: () => false,
    });
  }, [projectId]);
  return status;
}

const refresh = (projectId: string) => {
  void queryClient.invalidateQueries({ queryKey: sourcesQuery(projectId).queryKey });
  refreshScans(projectId);
};

export const useChangeSource = () =>
  useMutation({
    mutationFn: ({ source, split }: { source: Source; split: Split }) =>
      answer(
        api.PATCH("/api/v1/sources/{source_id}", {
          params: { path: { source_id: source.source_id } },
          body: { name: null, split },
        }),
      ),
    onSettled: (_answer, _error, { source }) => refresh(source.project_id),
  });

export const useDeleteSource = () =>
  useMutation({
    mutationFn: (source: Source) =>
      answer(
        api.DELETE("/api/v1/sources/{source_id}", {
          params: { path: { source_id: source.source_id } },
        }),
      ),
    onSettled: (_answer, _error, source) => refresh(source.project_id),
  });
