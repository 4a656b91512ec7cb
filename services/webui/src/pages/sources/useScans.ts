import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useSearchParams } from "wouter";
import { isOpen } from "../../api/jobs";
import { type Scan, scanQuery, scansQuery, useLiveScan } from "../../api/scans";

/** The scans of a project, newest first, and the one whose files are shown. */
export function useScans(projectId: string) {
  const history = useInfiniteQuery(scansQuery(projectId));
  const listed = history.data?.pages.flatMap((page) => page.scans) ?? [];
  const newest = listed[0];
  useLiveScan(newest);
  const told = useQuery({ ...scanQuery(newest?.scan_id ?? ""), enabled: false }).data;
  const latest = newest && newer(newest, told);
  const list = latest ? [latest, ...listed.slice(1)] : listed;

  const [search, setSearch] = useSearchParams();
  const wanted = search.get("scan");
  const shown = list.find((scan) => scan.scan_id === wanted) ?? latest;

  function choose(scan: Scan) {
    setSearch(
      (old) => {
        const next = new URLSearchParams(old);
        next.set("scan", scan.scan_id);
        if (scan.scan_id === latest?.scan_id) {
          // Whatever is the latest then.
          next.delete("scan");
        }
        return next;
      },
      { replace: true },
    );
  }

  return { ...history, list, latest, shown, choose };
}

/** An event says more than a list, until the scan has ended. */
const newer = (listed: Scan, told: Scan | undefined): Scan =>
  told && (isOpen(listed.status) || !isOpen(told.status)) ? told : listed;

export type Scans = ReturnType<typeof useScans>;
