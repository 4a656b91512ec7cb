import { Group, Text } from "@mantine/core";

export function Brand({ name }: { name: string }) {
  return (
    <Group gap={10} wrap="nowrap" miw={0}>
      <img src="/favicon.svg" alt="" width={28} height={28} />
      <Text fw={700} size="lg" truncate>
        {name}
      </Text>
    </Group>
  );
}
