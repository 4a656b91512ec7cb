import { Group, type MantineBreakpoint, Text } from "@mantine/core";
import { place } from "../place";

interface BrandProps {
  name: string;
  /** The narrowest window that has room for the name. */
  nameFrom?: MantineBreakpoint;
}

export function Brand({ name, nameFrom }: BrandProps) {
  return (
    <Group gap={10} wrap="nowrap" miw={0}>
      <img src={`${place}/favicon.svg`} alt="" width={28} height={28} />
      <Text fw={700} size="lg" truncate {...(nameFrom && { visibleFrom: nameFrom })}>
        {name}
      </Text>
    </Group>
  );
}
