import { infiniteQueryOptions, queryOptions, useMutation } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { answer, api, queryClient, type Schemas } from "./client";
import { refreshDatasets } from "./datasets";
import { type FollowStatus, follow } from "./follow";
import { isOpen } from "./jobs";

export type Scan = Schemas["ScanView"];
export type ScanCounts = Scan["counts"];

const HISTORY_PAGE = 20;

/** Newest first, page by page. */
export const scansQuery = (projectId: string) =>
  infiniteQueryOptions({
    queryKey: ["scans", projectId],
    queryFn: ({ pageParam }) => {
      const query = { page_size: HISTORY_PAGE, page_token: pageParam };
      const params = { path: { project_id: projectId }, query };
      return answer(api.GET("/api/v1/projects/{project_id}/scans", { params }));
    },
    initialPageParam: "",
    getNextPageParam: (page) => page.next_page_token || undefined,
    staleTime: 0,
  });

export const scanQuery = (scanId: string) =>
  queryOptions({
    queryKey: ["scan", scanId],
    queryFn: () =>
      answer(api.GET("/api/v1/scans/{scan_id}", { params: { path: { scan_id: scanId } } })),
  });

// A change of sources makes a scan due, which begins when no other change has followed for a while.
const DUE_MS = [0, 1_000, 2_500, 4_000, 7_000];
const looks = new Map<string, number[]>();

/** Looks for scans that began by themselves: no event tells of one. */
export function refreshScans(projectId: string): void {
  const { queryKey } = scansQuery(projectId);
  for (const look of looks.get(projectId) ?? []) {
    window.clearTimeout(look);
  }
  looks.set(
    projectId,
    DUE_MS.map((pauseMs) =>
      window.setTimeout(() => void queryClient.invalidateQueries({ queryKey }), pauseMs),
    ),
  );
}

/** Keeps an open scan as it is. When it ends, what it changed is fetched. */
export function useLiveScan(scan: Scan | undefined): FollowStatus {
  const [status, setStatus] = useState<FollowStatus>("connecting");
  const scanId = scan && isOpen(scan.status) ? scan.scan_id : "";
  const projectId = scan?.project_id ?? "";
  useEffect(() => {
    if (!scanId) {
      return;
    }
    const { queryKey } = scanQuery(scanId);
    return follow({
      path: `/api/v1/scans/${scanId}/events`,
      listen: (events) => {
        const newest = events.findLast((event) => event.name === "scan");
        if (newest) {
          queryClient.setQueryData(queryKey, JSON.parse(newest.data) as Scan);
        }
      },
      report: (next) => {
        setStatus(next);
        if (next === "ended") {
          refreshScans(projectId);
          refreshDatasets(projectId);
        }
      },
      isOver: () => !isOpen(queryClient.getQueryData(queryKey)?.status ?? "running"),
    });
  }, [scanId, projectId]);
  return status;
}

export const useStartScan = () =>
  useMutation({
    mutationFn: ({ projectId, fromScratch }: { projectId: string; fromScratch: boolean }) =>
      answer(
        api.POST("/api/v1/projects/{project_id}/scans", {
          params: { path: { project_id: projectId } },
          body: { from_scratch: fromScratch },
        }),
      ),
    onSuccess: (scan) => refreshScans(scan.project_id),
  });

export const useCancelScan = () =>
  useMutation({
    mutationFn: (scanId: string) =>
      answer(api.POST("/api/v1/scans/{scan_id}/cancel", { params: { path: { scan_id: scanId } } })),
    onSuccess: (scan) => {
      queryClient.setQueryData(scanQuery(scan.scan_id).queryKey, scan);
      refreshScans(scan.project_id);
    },
  });
