import { Alert, Button, Group, Progress, Stack, Text, Title } from "@mantine/core";
import { IconAlertTriangle, IconPlayerStop } from "@tabler/icons-react";
import { useState } from "react";
import type { Evaluation } from "../../api/evaluations";
import type { FollowStatus } from "../../api/follow";
import { isOpen } from "../../api/jobs";
import type { Problem } from "../../api/problem";
import type { Run } from "../../api/runs";
import { Facts } from "../../parts/Facts";
import {
  bytes,
  duration,
  integer,
  loss,
  moment,
  parameters,
  percent,
  short,
} from "../../parts/format";
import { PhaseBadge } from "../../parts/PhaseBadge";
import { PhaseSteps } from "../../parts/PhaseSteps";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { useNow } from "../../parts/useNow";
import { CancelRun } from "./CancelRun";
import { phaseShare, phaseWords, RUN_STEPS, runStep } from "./runWay";

interface RunStateProps {
  run: Run;
  evaluation: Evaluation | null;
  connection: FollowStatus;
  problem: Problem | null;
}

/** A loss that was measured, or "". */
const measured = (value: number | null | undefined) =>
  typeof value === "number" ? loss(value) : "";

export function RunState({ run, evaluation, connection, problem }: RunStateProps) {
  const [cancelling, setCancelling] = useState(false);
  const open = isOpen(run.status);
  const now = useNow(open ? 1 : 3600);
  const share = phaseShare(run, evaluation);
  const { progress, spec } = run;
  const remaining = progress?.remaining_seconds;
  return (
    <Surface label={`Fine-tune ${spec.name}`}>
      <Row>
        <Group justify="space-between" align="flex-start" wrap="nowrap" gap="md">
          <div style={{ minWidth: 0, overflowWrap: "anywhere" }}>
            <Title order={2} size="h4">
              {spec.name}
            </Title>
            <Text size="sm" c="dimmed">
              {spec.model}, created {moment(run.created_at)}
              {run.attempt > 1 && `, attempt ${run.attempt}`}
            </Text>
          </div>
          <Group gap="sm" justify="flex-end" miw="fit-content">
            <PhaseBadge phase={run.status} />
            {open && (
              <Button
                variant="default"
                size="xs"
                leftSection={<IconPlayerStop size={16} aria-hidden />}
                onClick={() => setCancelling(true)}
              >
                Cancel
              </Button>
            )}
          </Group>
        </Group>
      </Row>
      <Row>
        <Stack gap="md">
          <PhaseSteps
            label="Phases of the fine-tune"
            phases={RUN_STEPS}
            current={runStep(run)}
            isStopped={!open}
          />
          {open && (
            <div>
              <Progress value={100 * share} aria-label="Progress of this phase" />
              <Group justify="space-between" gap="xs" mt={6}>
                <Text size="sm" c="dimmed">
                  {run.detail || phaseWords(run)}
                </Text>
                <Text size="sm" c="dimmed">
                  {percent(share)}
                  {run.phase === "training" &&
                    typeof remaining === "number" &&
                    `, ${duration(remaining)} left`}
                </Text>
              </Group>
            </div>
          )}
          {run.status === "failed" && (
            <Alert color="red" title="It failed" icon={<IconAlertTriangle aria-hidden />}>
              {run.error || "It gave no reason; its log below may."}
            </Alert>
          )}
          {run.status === "cancelled" && (
            <Text size="sm" c="dimmed">
              It was cancelled. Checkpoints that were written are kept, and can be published.
            </Text>
          )}
          {problem && connection === "ended" && (
            <Alert color="yellow" title="What follows may be old">
              {problem.message}
            </Alert>
          )}
          {progress && (
            <Facts
              facts={[
                [
                  "Steps",
                  `${integer(progress.num_done_steps)} of ${integer(progress.num_total_steps)}`,
                ],
                ["Passes over train", short(Number(progress.num_epochs.toPrecision(3)))],
                ["Train loss", measured(progress.train_loss)],
                ["Test loss", measured(progress.test_loss)],
                ["Best test loss", measured(progress.best_test_loss)],
                [
                  "Speed",
                  open && progress.tokens_per_second > 0
                    ? `${parameters(progress.tokens_per_second)} tokens/s`
                    : "",
                ],
                [
                  "Peak memory",
                  progress.peak_device_bytes > 0 ? bytes(progress.peak_device_bytes) : "",
                ],
                [
                  "Time",
                  run.started_at > 0 ? duration((run.finished_at || now) - run.started_at) : "",
                ],
              ]}
            />
          )}
        </Stack>
      </Row>
      <CancelRun run={run} opened={cancelling && open} onClose={() => setCancelling(false)} />
    </Surface>
  );
}
