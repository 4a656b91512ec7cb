import { Group, Progress, Text } from "@mantine/core";
import { bytes } from "./format";
import classes from "./MemoryBar.module.css";

export interface MemoryPart {
  word: string;
  bytes: number;
  /** Of the theme, such as "blue.6". */
  colour: string;
}

interface MemoryBarProps {
  label: string;
  parts: readonly MemoryPart[];
  /** What the whole bar stands for. */
  totalBytes: number;
  /** Beside the label; the total if it is left out. */
  words?: string;
}

/** What memory is or would be used for. */
export function MemoryBar({ label, parts, totalBytes, words }: MemoryBarProps) {
  const known = parts.filter((part) => part.bytes > 0);
  return (
    <div>
      <Group justify="space-between" gap="xs" mb={6}>
        <Text size="sm" c="dimmed">
          {label}
        </Text>
        <Text size="sm" fw={600}>
          {words ?? bytes(totalBytes)}
        </Text>
      </Group>
      <Progress.Root size="md" aria-label={label}>
        {known.map((part) => (
          <Progress.Section
            key={part.word}
            value={totalBytes > 0 ? (100 * part.bytes) / totalBytes : 0}
            color={part.colour}
            aria-label={`${part.word}: ${bytes(part.bytes)}`}
          />
        ))}
      </Progress.Root>
      <div className={classes.parts}>
        {known.map((part) => (
          <Text key={part.word} size="xs" c="dimmed">
            <span
              className={classes.swatch}
              style={{ background: `var(--mantine-color-${part.colour.replace(".", "-")})` }}
              aria-hidden
            />
            {part.word} {bytes(part.bytes)}
          </Text>
        ))}
      </div>
    </div>
  );
}
