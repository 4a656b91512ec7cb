import { Badge, Group, Text } from "@mantine/core";
import type { ClusterState, Replica } from "../api/queries";

interface LoadedAdaptersProps {
  replica: Replica;
  adapters: ClusterState["adapters"];
}

/** The adapters that a replica can answer with; nothing where it has none. */
export function LoadedAdapters({ replica, adapters }: LoadedAdaptersProps) {
  const loaded = replica.loaded_adapter_ids.map(
    (id) => adapters.find((adapter) => adapter.adapter_id === id)?.name ?? id,
  );
  if (loaded.length === 0) {
    return null;
  }
  return (
    <Group gap={6} mt={6}>
      <Text size="sm" c="dimmed">
        {loaded.length === 1 ? "Adapter" : "Adapters"}
      </Text>
      {loaded.map((name) => (
        <Badge key={name} variant="default" tt="none" fw={500}>
          {name}
        </Badge>
      ))}
    </Group>
  );
}
