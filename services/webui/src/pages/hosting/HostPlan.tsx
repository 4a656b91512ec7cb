import { Alert, Loader, Stack, Text } from "@mantine/core";
import { IconAlertTriangle, IconCheck, IconDownload } from "@tabler/icons-react";
import type { Weights } from "../../api/catalogue";
import type { DeploymentPlan } from "../../api/deployments";
import type { Device } from "../../api/queries";
import { Facts } from "../../parts/Facts";
import { bytes, integer } from "../../parts/format";
import { MemoryBar } from "../../parts/MemoryBar";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { deviceNames } from "./hosted";
import { plannedBytes, verdictOf } from "./planned";

interface HostPlanProps {
  plan: DeploymentPlan;
  error: Error | null;
  /** Whether the form says at a field what is wrong. */
  isMarked: boolean;
  /** Whether a newer one is on its way. */
  isStale: boolean;
  devices: Device[];
  /** Undefined while nothing is known of them. */
  weights: Weights | undefined;
  retry: () => void;
}

/** Whether it fits and where, before it is hosted. */
export function HostPlan({
  plan,
  error,
  isMarked,
  isStale,
  devices,
  weights,
  retry,
}: HostPlanProps) {
  const needed = plannedBytes(plan);
  const verdict = verdictOf(plan);
  return (
    <Surface label="Plan">
      <Row>
        <Stack gap="md" aria-busy={isStale}>
          <Text fw={600}>Plan {isStale && <Loader size={12} ml={6} aria-label="Planning" />}</Text>
          {isMarked ? (
            <Alert color="yellow">What is marked cannot be. The plan comes when it is right.</Alert>
          ) : error ? (
            <ProblemAlert title="This cannot be" error={error} onRetry={retry} />
          ) : (
            <>
              {verdict === "fits" ? (
                <Alert color="teal" icon={<IconCheck aria-hidden />} title="It fits">
                  {plan.replicas.map((replica, index) => (
                    // biome-ignore lint/suspicious/noArrayIndexKey: replicas are known by number
                    <Text key={index} size="sm">
                      Replica {index + 1} on {replica.host_id}: {deviceNames(replica, devices)}
                    </Text>
                  ))}
                </Alert>
              ) : (
                <Alert
                  color={verdict === "waits" ? "yellow" : "red"}
                  icon={<IconAlertTriangle aria-hidden />}
                  title={verdict === "waits" ? "It has to wait" : "It does not fit"}
                >
                  <Text size="sm">{plan.refusal}</Text>
                  {plan.advice.length > 0 && (
                    <>
                      <Text size="sm" mt="xs" fw={600}>
                        Any one of these makes it fit:
                      </Text>
                      {plan.advice.map((each) => (
                        <Text key={each} size="sm">
                          {each}
                        </Text>
                      ))}
                    </>
                  )}
                </Alert>
              )}
              <MemoryBar
                label="Memory of each device"
                words={`${bytes(needed)} of ${bytes(plan.usable_bytes)}`}
                totalBytes={Math.max(needed, plan.usable_bytes)}
                parts={[
                  { word: "weights", bytes: plan.weights_bytes, colour: "blue.6" },
                  { word: "key-value cache", bytes: plan.kv_cache_bytes, colour: "ember.7" },
                  { word: "engine", bytes: plan.overhead_bytes, colour: "gray.5" },
                ]}
              />
              <Facts
                facts={[
                  [
                    "Largest context",
                    plan.max_context_tokens > 0 ? `${integer(plan.max_context_tokens)} tokens` : "",
                  ],
                  [
                    "Whole contexts at once",
                    plan.num_contexts > 0 ? integer(plan.num_contexts) : "",
                  ],
                  ["Least to start", bytes(plan.least_bytes)],
                ]}
              />
              <Text size="sm" c="dimmed">
                {plan.sharding_reason}
              </Text>
            </>
          )}
          {weights && weights.state !== "present" && (
            <Alert color="yellow" icon={<IconDownload aria-hidden />} title="Weights are missing">
              {weights.detail || "They are not on the agent's host. It starts only when they are."}
            </Alert>
          )}
        </Stack>
      </Row>
    </Surface>
  );
}
