import { Badge, Group, Text } from "@mantine/core";
import { IconServerOff } from "@tabler/icons-react";
import type { ClusterState, Deployment, Replica } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { integer, plural } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";
import { readyReplicas } from "../../parts/readiness";
import { Row, Surface } from "../../parts/Surface";

type Adapters = ClusterState["adapters"];

export function Deployments(props: { deployments: Deployment[]; adapters: Adapters }) {
  if (props.deployments.length === 0) {
    return (
      <Surface>
        <EmptyState icon={<IconServerOff />} title="No model is deployed yet">
          Hearth deploys its starter model by itself a few seconds after the first start. If nothing
          appears here within a minute, see below whether the inference service is up.
        </EmptyState>
      </Surface>
    );
  }
  return props.deployments.map((deployment) => (
    <Surface key={deployment.deployment_id} label={`Deployment of ${deployment.model}`}>
      <Row>
        <DeploymentLine deployment={deployment} />
      </Row>
      {deployment.replicas.map((replica) => (
        <Row key={replica.replica_id}>
          <ReplicaLine replica={replica} adapters={props.adapters} />
        </Row>
      ))}
    </Surface>
  ));
}

function DeploymentLine({ deployment }: { deployment: Deployment }) {
  const { detail, phase, replicas, context_tokens, num_replicas } = deployment;
  const isSaidByReplica = replicas.some((replica) => replica.detail === detail);
  return (
    <RecordLine
      name={deployment.model}
      facts={[
        `${readyReplicas(deployment).length} of ${plural(num_replicas, "replica")} ready`,
        context_tokens > 0 && `context ${integer(context_tokens)} tokens`,
      ]}
      aside={<PhaseBadge phase={phase} />}
    >
      {detail && phase !== "ready" && !isSaidByReplica && (
        <Text size="sm" mt={4}>
          {detail}
        </Text>
      )}
    </RecordLine>
  );
}

function ReplicaLine({ replica, adapters }: { replica: Replica; adapters: Adapters }) {
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
