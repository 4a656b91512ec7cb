import { Group, Progress, Text } from "@mantine/core";
import type { RunPlan } from "../../api/runs";
import { bytes } from "../../parts/format";
import classes from "./MemoryBar.module.css";

const PARTS = [
  ["weights_bytes", "base", "blue-6"],
  ["trainable_bytes", "adapter", "ember-7"],
  ["activation_bytes", "activations", "grape-6"],
  ["overhead_bytes", "framework", "gray-5"],
] as const;

/** What the memory of a device would be used for. */
export function MemoryBar({ memory }: { memory: RunPlan["memory"] }) {
  return (
    <div>
      <Group justify="space-between" gap="xs" mb={6}>
        <Text size="sm" c="dimmed">
          Memory of each device
        </Text>
        <Text size="sm" fw={600}>
          {bytes(memory.total_bytes)}
        </Text>
      </Group>
      <Progress.Root size="md" aria-label="Memory of each device">
        {PARTS.map(([field, word, colour]) => (
          <Progress.Section
            key={field}
            value={memory.total_bytes > 0 ? (100 * memory[field]) / memory.total_bytes : 0}
            color={colour.replace("-", ".")}
            aria-label={`${word}: ${bytes(memory[field])}`}
          />
        ))}
      </Progress.Root>
      <div className={classes.parts}>
        {PARTS.map(([field, word, colour]) => (
          <Text key={field} size="xs" c="dimmed">
            <span
              className={classes.swatch}
              style={{ background: `var(--mantine-color-${colour})` }}
              aria-hidden
            />
            {word} {bytes(memory[field])}
          </Text>
        ))}
      </div>
    </div>
  );
}
