import { Text } from "@mantine/core";
import type { ClusterState, Replica } from "../../api/queries";
import { integer } from "../../parts/format";
import { LoadedAdapters } from "../../parts/LoadedAdapters";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";

interface ReplicaLineProps {
  replica: Replica;
  adapters: ClusterState["adapters"];
}

export function ReplicaLine({ replica, adapters }: ReplicaLineProps) {
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
      <LoadedAdapters replica={replica} adapters={adapters} />
    </RecordLine>
  );
}
