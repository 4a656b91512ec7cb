import { Skeleton, Stack, Text } from "@mantine/core";
import { IconFileSearch } from "@tabler/icons-react";
import type { Verdict, VerdictOrder } from "../../api/verdicts";
import { DataTable } from "../../parts/DataTable";
import { EmptyState } from "../../parts/EmptyState";
import { SortHead } from "../../parts/SortHead";
import { VerdictRow } from "./VerdictRow";
import { orderedBy, type VerdictFilters } from "./verdictFilters";

interface VerdictTableProps {
  /** Null while they are fetched for the first time. */
  verdicts: Verdict[] | null;
  filters: VerdictFilters;
  /** Whether others are on their way. */
  isStale: boolean;
  isEmptyScan: boolean;
  isScanning: boolean;
  onChange: (filters: VerdictFilters) => void;
  onOpen: (verdict: Verdict) => void;
}

const COLUMNS: { order: VerdictOrder; label: string; isNumber?: boolean; width?: number }[] = [
  { order: "path", label: "File" },
  { order: "reason", label: "Verdict", width: 170 },
  { order: "language", label: "Language", width: 120 },
  { order: "size", label: "Size", isNumber: true, width: 100 },
  { order: "loss", label: "Loss", isNumber: true, width: 90 },
];

export function VerdictTable(props: VerdictTableProps) {
  const { verdicts, filters, isStale, isEmptyScan, isScanning, onChange, onOpen } = props;
  if (verdicts?.length === 0) {
    return (
      <EmptyState icon={<IconFileSearch />} title={isEmptyScan ? "No file yet" : "No such file"}>
        {isEmptyScan
          ? isScanning
            ? "Files appear here as the scan judges them."
            : "The sources held no file that the scan could see."
          : "No file of this scan fits what is filtered for."}
      </EmptyState>
    );
  }
  const columns = COLUMNS.map(({ order, label, ...rest }) => {
    const sorted =
      filters.order === order ? (filters.descending ? "descending" : "ascending") : undefined;
    return {
      ...rest,
      key: order,
      ...(sorted && ({ sorted } as const)),
      head: (
        <SortHead
          label={label}
          sorted={sorted}
          onSort={() => onChange(orderedBy(filters, order))}
        />
      ),
    };
  });
  if (!verdicts) {
    return (
      <Stack p="lg" gap="sm" aria-label="Loading" role="status">
        {Array.from({ length: 8 }, (_, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: they are all the same
          <Skeleton key={index} height={28} />
        ))}
      </Stack>
    );
  }
  return (
    <div style={{ opacity: isStale ? 0.6 : 1 }} aria-busy={isStale}>
      <DataTable label="Files" columns={columns}>
        {verdicts.map((verdict) => (
          <VerdictRow key={verdict.file_number} verdict={verdict} onOpen={() => onOpen(verdict)} />
        ))}
      </DataTable>
      {verdicts.some((verdict) => verdict.loss !== null) && (
        <Text size="xs" c="dimmed" px="lg" py={6}>
          Loss in bits per byte, under the base model: the higher, the more surprising the file.
        </Text>
      )}
    </div>
  );
}
