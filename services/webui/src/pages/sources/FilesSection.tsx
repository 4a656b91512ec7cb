import { useThrottledValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { isOpen } from "../../api/jobs";
import type { Scan } from "../../api/scans";
import { type Verdict, verdictsQuery } from "../../api/verdicts";
import { integer } from "../../parts/format";
import { Pager } from "../../parts/Pager";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { usePageTokens } from "../../parts/usePageTokens";
import { FileDrawer } from "./FileDrawer";
import { Tallies } from "./Tallies";
import { VerdictFilterBar } from "./VerdictFilterBar";
import { VerdictTable } from "./VerdictTable";
import {
  filtersIn,
  numFiltered,
  selectionOf,
  type VerdictFilters,
  withFilters,
} from "./verdictFilters";

const PAGE_SIZE = 50;
// While a scan runs, what is shown is renewed no more often.
const RENEW_MS = 3_000;

/** Every file that a scan saw, with its verdict. */
export function FilesSection({ scan }: { scan: Scan }) {
  const [search, setSearch] = useSearchParams();
  const [opened, setOpened] = useState<Verdict | null>(null);
  const filters = filtersIn(search);
  const selection = selectionOf(filters);
  const pages = usePageTokens(JSON.stringify(selection));
  const generation = useThrottledValue(
    isOpen(scan.status) ? scan.counts.num_files + (scan.progress?.num_scored_files ?? 0) : -1,
    RENEW_MS,
  );
  const page = useQuery(verdictsQuery(scan.scan_id, selection, PAGE_SIZE, pages.token, generation));
  const change = (next: VerdictFilters) =>
    setSearch((old) => withFilters(old, next), { replace: true });

  const verdicts = page.data?.verdicts ?? [];
  const first = (pages.number - 1) * PAGE_SIZE + 1;
  const last = first + verdicts.length - 1;
  const total = numFiltered(filters, scan.counts);
  const words = `Files ${integer(first)} to ${integer(last)}${total === null ? "" : ` of ${integer(total)}`}`;
  return (
    <Surface label="Files of the scan">
      <Row>
        <Tallies counts={scan.counts} filters={filters} onChange={change} />
      </Row>
      <Row>
        <VerdictFilterBar counts={scan.counts} filters={filters} onChange={change} />
      </Row>
      {page.isError ? (
        <Row>
          <ProblemAlert
            title="The files cannot be shown"
            error={page.error}
            onRetry={() => void page.refetch()}
          />
        </Row>
      ) : (
        <Row flush>
          <VerdictTable
            verdicts={page.data ? verdicts : null}
            filters={filters}
            isStale={page.isPlaceholderData}
            isEmptyScan={scan.counts.num_files === 0}
            isScanning={isOpen(scan.status)}
            onChange={change}
            onOpen={setOpened}
          />
        </Row>
      )}
      {verdicts.length > 0 && (
        <Row>
          <Pager
            pages={pages}
            nextToken={page.data?.next_page_token ?? ""}
            busy={page.isPlaceholderData}
            words={words}
          />
        </Row>
      )}
      <FileDrawer verdict={opened} onClose={() => setOpened(null)} />
    </Surface>
  );
}
