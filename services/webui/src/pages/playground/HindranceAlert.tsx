import { Alert } from "@mantine/core";
import type { Hindrance } from "../../parts/readiness";

/** Why the button beside it is disabled. */
export function HindranceAlert({ hindrance }: { hindrance: Hindrance | null }) {
  if (!hindrance?.reason) {
    return null;
  }
  return (
    <Alert color={hindrance.isFailure ? "red" : "blue"} role="status">
      {hindrance.reason}
    </Alert>
  );
}
