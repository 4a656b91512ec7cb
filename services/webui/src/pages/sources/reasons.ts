import type { VerdictReason } from "../../api/verdicts";

// The words that users of such filters know, in the order of the proto.
const LABELS: Record<VerdictReason, string> = {
  linguist_error: "Linguist error",
  not_text: "Not text",
  too_large: "File is too large",
  lfs_pointer: "LFS pointer",
  secret: "Secret found",
  excluded_by_mask: "Excluded by mask",
  duplicate: "Duplicate",
  near_duplicate: "Near duplicate",
  generated: "Generated",
  vendored: "Vendored",
  documentation: "Documentation",
  minified: "Minified",
  data: "Data",
  digits: "Lots of digits",
  not_code: "Not code",
  language_off: "Language switched off",
  filter_empty: "Filter empty",
  loss: "Loss",
};

/** A reason to reject a file, as a person reads it. */
export const reasonLabel = (reason: VerdictReason): string => LABELS[reason];

/** `word` as a reason, if it is one. */
export const reasonOf = (word: string | null): VerdictReason | "" =>
  word !== null && Object.hasOwn(LABELS, word) ? (word as VerdictReason) : "";
