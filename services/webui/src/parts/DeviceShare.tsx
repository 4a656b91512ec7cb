import { Group, Text } from "@mantine/core";
import classes from "./Devices.module.css";
import { bytes } from "./format";

interface DeviceShareProps {
  /** "" for what nobody holds. */
  colour: string;
  words: string;
  amount: number;
}

/** One line below a device's bar: who holds how much of its memory. */
export function DeviceShare({ colour, words, amount }: DeviceShareProps) {
  const background = colour && `var(--mantine-color-${colour.replace(".", "-")})`;
  return (
    <Group gap={8} wrap="nowrap">
      <span
        className={colour ? classes.swatch : `${classes.swatch} ${classes.free}`}
        style={{ background }}
        aria-hidden
      />
      <Text size="sm" flex={1} style={{ overflowWrap: "anywhere" }}>
        {words}
      </Text>
      <Text size="sm" c="dimmed" style={{ whiteSpace: "nowrap" }}>
        {bytes(amount)}
      </Text>
    </Group>
  );
}
