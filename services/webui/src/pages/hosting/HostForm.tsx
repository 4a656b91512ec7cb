import { Button, Group, Skeleton, Stack, Text } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { CatalogueModel } from "../../api/catalogue";
import { deploymentPlanQuery, type NewDeployment } from "../../api/deployments";
import type { ClusterState, Deployment } from "../../api/queries";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { DeploymentForm } from "./DeploymentForm";
import { askedOf, newDraft, wantedOf } from "./deploymentDraft";
import { ModelFiles } from "./ModelFiles";
import { ModelSummary } from "./ModelSummary";

export interface HostFormProps {
  modelName: string;
  /** As the catalogue has it; undefined while that is not known. */
  model: CatalogueModel | undefined;
  /** The one to change; null for a new one. */
  deployment: Deployment | null;
  cluster: ClusterState;
  onChooseModel: () => void;
  onDone: () => void;
}

/** The model that was chosen, and the form for its deployment as soon as it is known what may be. */
export function HostForm(props: HostFormProps) {
  const { modelName, model, deployment, cluster, onChooseModel } = props;
  const now = deployment && askedOf(deployment);
  const isHosted = cluster.deployments.some((each) => each.model === modelName);
  // Of another model, the old settings may be impossible.
  const first: NewDeployment =
    now?.model === modelName ? now : wantedOf(modelName, newDraft(""), null);
  const plan = useQuery({ ...deploymentPlanQuery(first), refetchInterval: false });
  return (
    <Stack gap="md">
      <Surface label="Model">
        <Row>
          {model ? (
            <ModelSummary model={model} isHosted={isHosted} />
          ) : (
            <Text fw={600}>{modelName}</Text>
          )}
          <Group gap="xs" mt="sm" align="flex-start">
            <Button
              variant="default"
              size="xs"
              leftSection={<IconArrowLeft size={14} aria-hidden />}
              onClick={onChooseModel}
            >
              Choose another model
            </Button>
            {model && <ModelFiles model={model} isHosted={isHosted} onRemoved={onChooseModel} />}
          </Group>
        </Row>
      </Surface>
      {plan.data ? (
        <DeploymentForm {...props} first={plan.data} now={now} />
      ) : plan.isError ? (
        <ProblemAlert
          title="This model cannot be planned for"
          error={plan.error}
          onRetry={() => void plan.refetch()}
        />
      ) : (
        <Skeleton height={320} radius="lg" aria-label="Loading" role="status" />
      )}
    </Stack>
  );
}
