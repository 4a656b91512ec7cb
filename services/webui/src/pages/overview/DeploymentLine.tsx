import { Text } from "@mantine/core";
import type { Deployment } from "../../api/queries";
import { integer, plural } from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { RecordLine } from "../../parts/RecordLine";
import { readyReplicas } from "../../parts/readiness";

export function DeploymentLine({ deployment }: { deployment: Deployment }) {
  const { model, detail, phase, replicas, context_tokens, num_replicas } = deployment;
  // A deployment repeats what its replicas say, whose own lines follow.
  const isSaidByReplica = replicas.some((one) => one.detail && detail.includes(one.detail));
  return (
    <RecordLine
      name={model}
      facts={[
        `${readyReplicas(deployment).length} of ${plural(num_replicas, "replica")} ready`,
        context_tokens > 0 && `context ${integer(context_tokens)} tokens`,
      ]}
      aside={<PhaseBadge phase={phase} />}
    >
      {phase !== "ready" && !isSaidByReplica && detail && (
        <Text size="sm" mt={4}>
          {detail}
        </Text>
      )}
    </RecordLine>
  );
}
