import { Button, Group, Text } from "@mantine/core";
import { IconFileText } from "@tabler/icons-react";
import type { ClusterState, Replica } from "../../api/queries";
import { duration, integer } from "../../parts/format";
import { LoadedAdapters } from "../../parts/LoadedAdapters";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";
import { deviceNames } from "./hosted";

interface ReplicaRowProps {
  replica: Replica;
  cluster: ClusterState;
  /** Whether its deployment has said already why it is not ready. */
  isExplained: boolean;
  /** In unix seconds. */
  now: number;
  onLog: () => void;
}

export function ReplicaRow({ replica, cluster, isExplained, now, onLog }: ReplicaRowProps) {
  const { replica_id, phase, detail, started_at, num_running, num_waiting } = replica;
  const isReady = phase === "ready";
  return (
    <RecordLine
      name={
        <Text size="sm" fw={600}>
          {replica_id}
        </Text>
      }
      facts={[
        `${replica.engine} ${replica.engine_version}`.trim(),
        `${deviceNames(replica, cluster.devices) || "no device"} on ${replica.host_id}`,
        isReady && `${integer(num_running)} running, ${integer(num_waiting)} waiting`,
        isReady && `up ${duration(now - started_at)}`,
      ]}
      aside={
        <Group gap="xs">
          <PhaseBadge phase={phase} />
          <Button
            variant="default"
            size="xs"
            leftSection={<IconFileText size={14} aria-hidden />}
            aria-label={`Log of ${replica_id}`}
            onClick={onLog}
          >
            Log
          </Button>
        </Group>
      }
      wideAside
    >
      {!isReady && !isExplained && detail && (
        <Text size="sm" {...(phase === "failed" && { c: "red" })}>
          {detail}
        </Text>
      )}
      <LoadedAdapters replica={replica} adapters={cluster.adapters} />
    </RecordLine>
  );
}
