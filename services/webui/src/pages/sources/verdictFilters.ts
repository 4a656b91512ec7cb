import type { ScanCounts } from "../../api/scans";
import type { VerdictOrder, VerdictReason, VerdictSelection } from "../../api/verdicts";
import { reasonOf } from "./reasons";

/** What the table of files shows, as the address of the page says it. */
export interface VerdictFilters {
  show: "all" | "accepted" | "rejected";
  /** "" for any. */
  reason: VerdictReason | "";
  language: string;
  path: string;
  order: VerdictOrder;
  descending: boolean;
}

const SHOWS = ["all", "accepted", "rejected"] as const;
const ORDERS = ["number", "path", "size", "loss", "language", "reason"] as const;
const LONGEST_PATH = 200;

const oneOf = <T extends string>(words: readonly T[], word: string | null): T | undefined =>
  words.find((each) => each === word);

export function filtersIn(search: URLSearchParams): VerdictFilters {
  const order = search.get("order") ?? "";
  return {
    show: oneOf(SHOWS, search.get("show")) ?? "all",
    reason: reasonOf(search.get("reason")),
    language: search.get("language") ?? "",
    path: (search.get("path") ?? "").slice(0, LONGEST_PATH),
    order: oneOf(ORDERS, order.replace(/^-/, "")) ?? "number",
    descending: order.startsWith("-"),
  };
}

/** `search` with these filters. What is not filtered is not in the address. */
export function withFilters(search: URLSearchParams, filters: VerdictFilters): URLSearchParams {
  const found = new URLSearchParams(search);
  const isPlain = filters.order === "number" && !filters.descending;
  const words = {
    show: filters.show === "all" ? "" : filters.show,
    reason: filters.reason,
    language: filters.language,
    path: filters.path,
    order: isPlain ? "" : `${filters.descending ? "-" : ""}${filters.order}`,
  };
  for (const [name, word] of Object.entries(words)) {
    if (word) {
      found.set(name, word);
    } else {
      found.delete(name);
    }
  }
  return found;
}

export const isFiltered = (filters: VerdictFilters): boolean =>
  filters.show !== "all" ||
  filters.reason !== "" ||
  filters.language !== "" ||
  filters.path.trim() !== "";

/** How many files the filters let through; null where the sums do not tell. */
export function numFiltered(filters: VerdictFilters, counts: ScanCounts): number | null {
  const { num_files, num_accepted_files, reasons } = counts;
  if (filters.language || filters.path.trim()) {
    return null;
  }
  if (filters.reason) {
    return reasons.find(({ reason }) => reason === filters.reason)?.num_files ?? 0;
  }
  const shown = {
    all: num_files,
    accepted: num_accepted_files,
    rejected: num_files - num_accepted_files,
  };
  return shown[filters.show];
}

/** The filters as the server understands them. */
export function selectionOf(filters: VerdictFilters): VerdictSelection {
  const path = filters.path.trim();
  return {
    // A reason is a reason to reject.
    ...(filters.reason
      ? { accepted: false, reason: [filters.reason] }
      : filters.show !== "all" && { accepted: filters.show === "accepted" }),
    ...(filters.language && { language: [filters.language] }),
    ...(path && { path_contains: path }),
    order: filters.order,
    descending: filters.descending,
  };
}

/** What a click on a column's head asks for: first one way, then the other, then no order. */
export function orderedBy(filters: VerdictFilters, order: VerdictOrder): VerdictFilters {
  if (filters.order !== order) {
    return { ...filters, order, descending: false };
  }
  return filters.descending
    ? { ...filters, order: "number", descending: false }
    : { ...filters, descending: true };
}
