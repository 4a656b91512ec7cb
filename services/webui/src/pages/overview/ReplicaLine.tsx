import { Badge, Group, Text } from "@mantine/core";
import type { ClusterState, Replica } from "../../api/queries";
import { integer } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";

interface ReplicaLineProps {
  replica: Replica;
  adapters: ClusterState["adapters"];
}

export function ReplicaLine({ replica, adapters }: ReplicaLineProps) {
  const loaded = replica.loaded_adapter_ids.map(
    (id) => adapters.find((adapter) => adapter.adapter_id === id)?.name ?? id,
  );
  return (
    <RecordLine
      name={
        <Text size="sm" fw={500}>
          {replica.engine} {replica.engine_version} on {replica.host_id}
        </Text>
      }
      facts={
        replica.phase === "ready"
          ? [`${integer(replica.num_running)} running`, `${integer(replica.num_waiting)} waiting`]
          : [replica.detail]
      }
      aside={<PhaseBadge phase={replica.phase} />}
    >
      {loaded.length > 0 && (
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
      )}
    </RecordLine>
  );
}
