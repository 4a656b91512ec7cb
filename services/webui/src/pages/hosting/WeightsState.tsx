import { Badge, Progress, Text } from "@mantine/core";
import type { Weights } from "../../api/catalogue";
import { bytes, duration } from "../../parts/format";

/** Where the weights of a model are, and how much has come of those that are on their way. */
export function WeightsState({ weights }: { weights: Weights }) {
  const { state, present_bytes, total_bytes, remaining_seconds, bytes_per_second, detail } =
    weights;
  if (state === "downloading") {
    return (
      <div style={{ minWidth: 180 }}>
        <Progress
          size="sm"
          value={total_bytes > 0 ? (100 * present_bytes) / total_bytes : 100}
          animated
          aria-label="Weights that have come"
        />
        <Text size="xs" c="dimmed" mt={4} style={{ fontVariantNumeric: "tabular-nums" }}>
          {bytes(present_bytes)}
          {total_bytes > 0 && ` of ${bytes(total_bytes)}`}
          {bytes_per_second > 0 && `, ${bytes(bytes_per_second)}/s`}
          {remaining_seconds !== null && `, ${duration(remaining_seconds)} left`}
        </Text>
        {detail && (
          <Text size="xs" c="dimmed">
            {detail}
          </Text>
        )}
      </div>
    );
  }
  if (state === "failed") {
    return (
      <Text size="sm" c="red">
        {detail || "The weights did not come."}
      </Text>
    );
  }
  const isHere = state === "present";
  return (
    <Badge variant={isHere ? "light" : "default"} color="teal" tt="none" fw={500}>
      {isHere ? "weights are here" : "weights are not here"}
    </Badge>
  );
}
