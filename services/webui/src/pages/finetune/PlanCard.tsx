import { Alert, Loader, Skeleton, Stack, Text } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import type { RunPlan } from "../../api/runs";
import { Facts } from "../../parts/Facts";
import { duration, integer, loss, parameters, short } from "../../parts/format";
import { MemoryBar } from "../../parts/MemoryBar";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { memoryParts } from "./memoryParts";
import { PlanChoices } from "./PlanChoices";

interface PlanCardProps {
  plan: RunPlan | undefined;
  error: Error | null;
  /** Whether a newer one is on its way. */
  isStale: boolean;
  retry: () => void;
}

/** What would happen, before it does. */
export function PlanCard({ plan, error, isStale, retry }: PlanCardProps) {
  return (
    <Surface label="Plan">
      <Row>
        <Stack gap="md">
          <Text fw={600}>Plan {isStale && <Loader size={12} ml={6} aria-label="Planning" />}</Text>
          {error ? (
            <ProblemAlert title="There is no plan for this" error={error} onRetry={retry} />
          ) : plan ? (
            <Facts
              facts={[
                [
                  "Time",
                  plan.estimated_seconds === null
                    ? "unknown"
                    : `about ${duration(plan.estimated_seconds)}`,
                ],
                ["Steps", integer(plan.parameters.train_steps ?? 0)],
                ["Passes over train", short(Number(plan.num_epochs.toPrecision(3)))],
                ["Train tokens", parameters(plan.num_train_tokens)],
                ["Sequences", integer(plan.num_sequences)],
                ["Devices", integer(plan.num_devices)],
                ["Loss of the base", plan.mean_loss === null ? "" : loss(plan.mean_loss)],
              ]}
            />
          ) : (
            <Skeleton height={150} />
          )}
          {plan && !error && (
            <>
              <MemoryBar
                label="Memory of each device"
                parts={memoryParts(plan.memory)}
                totalBytes={plan.memory.total_bytes}
              />
              {plan.refusal && (
                <Alert
                  color={plan.fits ? "yellow" : "red"}
                  icon={<IconAlertTriangle aria-hidden />}
                  title={plan.fits ? "It has to wait" : "It can not run here"}
                >
                  {plan.refusal}
                </Alert>
              )}
              {plan.warnings.length > 0 && (
                <Alert color="yellow">
                  {plan.warnings.map((warning) => (
                    <div key={warning}>{warning}</div>
                  ))}
                </Alert>
              )}
            </>
          )}
        </Stack>
      </Row>
      {plan && !error && (
        <Row>
          <PlanChoices choices={plan.choices} />
        </Row>
      )}
    </Surface>
  );
}
