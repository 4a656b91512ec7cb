import { Alert, Button, Group, Progress, Text } from "@mantine/core";
import { IconAlertTriangle, IconHourglass } from "@tabler/icons-react";
import { useRestartDeployment } from "../../api/deployments";
import type { Deployment } from "../../api/queries";
import { isWaiting } from "../../parts/readiness";

/** Why a deployment is not as it is wanted, and what can be done. Nothing while it is. */
export function DeploymentState({ deployment }: { deployment: Deployment }) {
  const restart = useRestartDeployment();
  const { phase, detail, deployment_id } = deployment;
  if (phase === "ready") {
    return null;
  }
  if (phase === "failed") {
    return (
      <Alert color="red" icon={<IconAlertTriangle aria-hidden />} title="It does not start">
        <Text size="sm">{detail || "It gave no reason; its log may."}</Text>
        <Group mt="sm" gap="sm">
          <Button
            size="xs"
            variant="default"
            loading={restart.isPending}
            onClick={() => restart.mutate(deployment_id)}
          >
            Restart it
          </Button>
          {restart.isError && (
            <Text size="sm" role="alert">
              {restart.error.message}
            </Text>
          )}
        </Group>
      </Alert>
    );
  }
  if (isWaiting(deployment) || phase === "degraded") {
    return (
      <Alert
        color="yellow"
        icon={<IconHourglass aria-hidden />}
        title={phase === "degraded" ? "Not all of it is there" : "It waits"}
      >
        {detail}
      </Alert>
    );
  }
  return (
    <div role="status">
      <Progress value={100} animated size="xs" color="blue" aria-label="Starting" />
      <Text size="sm" mt={6}>
        {detail || "Its replicas are about to start."}
      </Text>
    </div>
  );
}
