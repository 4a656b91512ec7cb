import { IconServerOff } from "@tabler/icons-react";
import type { ClusterState, Deployment } from "../../api/queries";
import { EmptyState } from "../../parts/EmptyState";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { DeploymentLine } from "./DeploymentLine";
import { ReplicaLine } from "./ReplicaLine";

interface DeploymentsProps {
  deployments: Deployment[];
  adapters: ClusterState["adapters"];
}

export function Deployments({ deployments, adapters }: DeploymentsProps) {
  if (deployments.length === 0) {
    return (
      <Surface>
        <EmptyState icon={<IconServerOff />} title="No model is deployed yet">
          Hearth deploys its starter model by itself a few seconds after the first start. If nothing
          appears here within a minute, see below whether the inference service is up.
        </EmptyState>
      </Surface>
    );
  }
  return deployments.map((deployment) => (
    <Surface key={deployment.deployment_id} label={`Deployment of ${deployment.model}`}>
      <Row>
        <DeploymentLine deployment={deployment} />
      </Row>
      {deployment.replicas.map((replica) => (
        <Row key={replica.replica_id}>
          <ReplicaLine replica={replica} adapters={adapters} />
        </Row>
      ))}
    </Surface>
  ));
}
