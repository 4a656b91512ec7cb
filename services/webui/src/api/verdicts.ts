import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answer, api, type Schemas } from "./client";
import type { paths } from "./schema";

export type Verdict = Schemas["VerdictView"];
export type ScannedFile = Schemas["ScannedFileView"];
type Query = NonNullable<paths["/api/v1/scans/{scan_id}/verdicts"]["get"]["parameters"]["query"]>;
export type VerdictOrder = NonNullable<Query["order"]>;
export type VerdictReason = NonNullable<Verdict["reason"]>;

/** What to show of the files of a scan, and in which order. What is unset does not matter. */
export interface VerdictSelection {
  accepted?: boolean;
  reason?: VerdictReason[];
  language?: string[];
  source_id?: string[];
  split?: "train" | "test";
  path_contains?: string;
  order: VerdictOrder;
  descending: boolean;
}

/** `generation` changes when the scan has gone on, which makes the page new. */
export const verdictsQuery = (
  scanId: string,
  selection: VerdictSelection,
  pageSize: number,
  pageToken: string,
  generation: number,
) =>
  queryOptions({
    queryKey: ["verdicts", scanId, selection, pageSize, pageToken, generation],
    queryFn: ({ signal }) => {
      const query = { ...selection, page_size: pageSize, page_token: pageToken };
      const params = { path: { scan_id: scanId }, query };
      return answer(api.GET("/api/v1/scans/{scan_id}/verdicts", { params, signal }));
    },
    placeholderData: keepPreviousData,
  });

export const fileQuery = (scanId: string, fileNumber: number) =>
  queryOptions({
    queryKey: ["file", scanId, fileNumber],
    queryFn: () => {
      const path = { scan_id: scanId, file_number: fileNumber };
      return answer(api.GET("/api/v1/scans/{scan_id}/files/{file_number}", { params: { path } }));
    },
    gcTime: 60_000,
  });
