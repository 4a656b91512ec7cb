import { Button, Group, Progress, Text, ThemeIcon, Title } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconHourglass } from "@tabler/icons-react";
import type { ReactNode } from "react";
import { Link } from "wouter";
import type { ClusterState, Deployment } from "../../api/queries";
import { deploymentsIn } from "../../parts/readiness";
import { Row, Surface } from "../../parts/Surface";

const names = (deployments: Deployment[]) =>
  [...new Set(deployments.map((deployment) => deployment.model))].join(", ");

/** One sentence at the top of the page: does Hearth answer, and if not, why. */
export function EngineState({ cluster }: { cluster: ClusterState }) {
  const { answering, starting, failed } = deploymentsIn(cluster);
  const [first] = starting;
  if (answering.length > 0) {
    return (
      <State
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
      </State>
    );
  }
  if (first) {
    return (
      <State colour="blue" icon={<IconHourglass />} title={`${first.model} is starting`} busy>
        {first.detail || first.replicas[0]?.detail || "Waiting for the engine's first word."}
      </State>
    );
  }
  if (failed.length > 0) {
    return (
      <State
        colour="red"
        icon={<IconAlertTriangle />}
        title={`${names(failed)} could not be started`}
      >
        {failed[0]?.detail || "The reason is in data/logs/inference.log."}
      </State>
    );
  }
  return null;
}

interface StateProps {
  colour: string;
  icon: ReactNode;
  title: string;
  children: ReactNode;
  action?: ReactNode;
  busy?: boolean;
}

function State({ colour, icon, title, children, action, busy = false }: StateProps) {
  return (
    <Surface>
      <Row>
        <Group gap="md">
          <Group gap="md" wrap="nowrap" flex="1 1 260px" miw={0} role="status">
            <ThemeIcon size={44} radius="xl" variant="light" color={colour} aria-hidden>
              {icon}
            </ThemeIcon>
            <div style={{ minWidth: 0, overflowWrap: "anywhere" }}>
              <Title order={2} size="h4">
                {title}
              </Title>
              <Text c="dimmed">{children}</Text>
            </div>
          </Group>
          {action}
        </Group>
        {busy && (
          <Progress value={100} animated size="sm" mt="md" color={colour} aria-label="Starting" />
        )}
      </Row>
    </Surface>
  );
}
