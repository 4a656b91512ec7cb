import { Button } from "@mantine/core";
import {
  IconAlertTriangle,
  IconCheck,
  IconHourglass,
  IconPlugConnectedX,
} from "@tabler/icons-react";
import { useContext } from "react";
import { Link } from "wouter";
import { LiveContext } from "../../api/live";
import type { ClusterState, Deployment } from "../../api/queries";
import { deploymentsIn, isDoing, isWaiting } from "../../parts/readiness";
import { StateBanner } from "../../parts/StateBanner";

const names = (deployments: Deployment[]) =>
  [...new Set(deployments.map((deployment) => deployment.model))].join(", ");

/** One sentence at the top of the page: does Hearth answer, and if not, why. */
export function EngineState({ cluster }: { cluster: ClusterState }) {
  const live = useContext(LiveContext);
  const { answering, starting, failed } = deploymentsIn(cluster);
  const [coming] = starting;
  const [broken] = failed;
  if (live === "reconnecting") {
    return (
      <StateBanner colour="yellow" icon={<IconPlugConnectedX />} title="Hearth does not answer">
        It is tried again every few seconds. Until then you see what was known last.
      </StateBanner>
    );
  }
  if (answering.length > 0) {
    return (
      <StateBanner
        colour="teal"
        icon={<IconCheck />}
        title="Hearth is ready"
        action={
          <Button component={Link} href="/playground">
            Try it in the playground
          </Button>
        }
      >
        Completions are answered by {names(answering)}.
      </StateBanner>
    );
  }
  if (coming) {
    return (
      <StateBanner
        colour="blue"
        icon={<IconHourglass />}
        title={isDoing(coming)}
        busy={!isWaiting(coming)}
      >
        {coming.detail || coming.replicas[0]?.detail || "Waiting for the engine's first word."}
      </StateBanner>
    );
  }
  if (broken) {
    return (
      <StateBanner colour="red" icon={<IconAlertTriangle />} title={isDoing(broken)}>
        {broken.detail || "It gave no reason."} It is tried again after a pause; the folder logs in
        the data volume has the rest.
      </StateBanner>
    );
  }
  return null;
}
