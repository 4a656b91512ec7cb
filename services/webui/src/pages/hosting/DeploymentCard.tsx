import { Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { CatalogueModel } from "../../api/catalogue";
import type { ClusterState, Deployment } from "../../api/queries";
import { Disclosure } from "../../parts/Disclosure";
import { Facts } from "../../parts/Facts";
import { bytes, duration, integer, plural } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { Row } from "../../parts/Row";
import { readyReplicas } from "../../parts/readiness";
import { Surface } from "../../parts/Surface";
import { useNow } from "../../parts/useNow";
import { adapterWords } from "./adapterWords";
import { DeploymentActions } from "./DeploymentActions";
import { DeploymentState } from "./DeploymentState";
import { contextOf, heldBytes, readySince } from "./hosted";
import { ReplicaRow } from "./ReplicaRow";
import { WeightsState } from "./WeightsState";

interface DeploymentCardProps {
  deployment: Deployment;
  cluster: ClusterState;
  /** As the catalogue has it; undefined while that is not known. */
  model: CatalogueModel | undefined;
  onChange: () => void;
  onDelete: () => void;
  onLog: (replicaId: string) => void;
}

/** One deployment: how it is, what it has, and its replicas. */
export function DeploymentCard(props: DeploymentCardProps) {
  const { deployment, cluster, model } = props;
  const { num_replicas, devices_per_replica, device_bytes, replicas } = deployment;
  const [opened, { toggle }] = useDisclosure(deployment.phase !== "ready");
  const now = useNow(1);
  const since = readySince(deployment);
  const held = heldBytes(deployment, cluster.devices);
  const context = contextOf(deployment) || model?.context_tokens || 0;
  const isDefault = cluster.deployments[0] === deployment;
  return (
    <Surface label={`Deployment ${deployment.deployment_id}`}>
      <Row>
        <Stack gap="md">
          <RecordLine
            name={deployment.model}
            facts={[
              deployment.deployment_id,
              deployment.quantization,
              deployment.yields_to_runs && "yields to fine-tunes",
              isDefault && cluster.deployments.length > 1 && "answers requests without a model",
            ]}
            aside={<DeploymentActions {...props} />}
            wideAside
          >
            {model && model.weights.state !== "present" && (
              <div style={{ marginTop: 6 }}>
                <WeightsState weights={model.weights} />
              </div>
            )}
          </RecordLine>
          <DeploymentState deployment={deployment} />
          <Facts
            facts={[
              ["Replicas", `${readyReplicas(deployment).length} of ${integer(num_replicas)} ready`],
              ["Devices", `${devices_per_replica} each, ${device_bytes > 0 ? "shared" : "whole"}`],
              ["Context", context > 0 ? `${integer(context)} tokens` : ""],
              ["Adapter", adapterWords(deployment, cluster.adapters)],
              ["Memory", held > 0 ? bytes(held) : ""],
              ["Up", since > 0 ? duration(now - since) : ""],
            ]}
          />
          {replicas.length > 0 && (
            <Disclosure
              label={plural(replicas.length, "replica")}
              opened={opened}
              onToggle={toggle}
            />
          )}
        </Stack>
      </Row>
      {opened &&
        replicas.map((replica) => (
          <Row key={replica.replica_id}>
            <ReplicaRow
              replica={replica}
              cluster={cluster}
              isExplained={
                deployment.phase !== "ready" && deployment.detail.includes(replica.detail)
              }
              now={now}
              onLog={() => props.onLog(replica.replica_id)}
            />
          </Row>
        ))}
    </Surface>
  );
}
