import { Badge } from "@mantine/core";
import type { Evaluation } from "../../api/evaluations";
import { verdictWords } from "./verdictWords";

export function RunVerdict({ evaluation }: { evaluation: Evaluation }) {
  const words = verdictWords(evaluation);
  if (words) {
    return (
      <Badge variant="light" color={words.colour} tt="none" miw="fit-content">
        {words.label}
      </Badge>
    );
  }
  return evaluation.status === "failed" ? (
    <Badge variant="light" color="red" tt="none" miw="fit-content" title={evaluation.error}>
      not evaluated
    </Badge>
  ) : null;
}
