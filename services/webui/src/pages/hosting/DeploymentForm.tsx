import { Button, Grid, Group, Stack, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlayerPlay } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import {
  type DeploymentPlan,
  deploymentPlanQuery,
  type NewDeployment,
  useChangeDeployment,
  useCreateDeployment,
} from "../../api/deployments";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { DeploymentSettings } from "./DeploymentSettings";
import {
  changesOf,
  draftOf,
  faultsOf,
  needsNewReplicas,
  newDraft,
  wantedOf,
} from "./deploymentDraft";
import { faultOfProblem } from "./faultOfProblem";
import type { HostFormProps } from "./HostForm";
import { HostPlan } from "./HostPlan";
import { startingShare, verdictOf } from "./planned";

// As long as somebody types, no plan is asked for.
const TYPING_MS = 400;

interface DeploymentFormProps extends HostFormProps {
  /** A plan for the model, which tells what may be chosen. */
  first: DeploymentPlan;
  /** What is asked for until now; null for a new deployment. */
  now: NewDeployment | null;
}

const hasField = (error: Error | null) => Object.keys(faultOfProblem(error)).length > 0;

export function DeploymentForm(props: DeploymentFormProps) {
  const { modelName, model, cluster, first, onDone } = props;
  // Events come while somebody types: what the form began with is what it is compared with.
  const [now] = useState(props.now);
  const [draft, setDraft] = useState(() =>
    now ? draftOf(now) : newDraft(startingShare(first, cluster.devices)),
  );
  const create = useCreateDeployment();
  const change = useChangeDeployment();
  const saving = now ? change : create;
  const seen = faultsOf(draft);
  const isSound = Object.keys(seen).length === 0;
  const wanted = useMemo(() => wantedOf(modelName, draft, now), [modelName, draft, now]);
  const [asked] = useDebouncedValue(wanted, TYPING_MS);
  const isStale = asked !== wanted;
  const plan = useQuery({ ...deploymentPlanQuery(asked), enabled: isSound && !isStale });
  const changes = now ? changesOf(now, wanted) : null;
  const isSame = changes !== null && Object.keys(changes).length === 0;
  const refusal = isStale ? null : plan.error;
  const verdict = verdictOf(plan.data ?? first);
  const faults = { ...faultOfProblem(refusal), ...faultOfProblem(saving.error), ...seen };

  function set(changed: Partial<typeof draft>) {
    saving.reset();
    setDraft((old) => ({ ...old, ...changed }));
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (now && changes) {
      change.mutate({ deploymentId: now.deployment_id, body: changes }, { onSuccess: onDone });
    } else {
      create.mutate(wanted, { onSuccess: onDone });
    }
  }

  return (
    <form onSubmit={submit}>
      <Grid gap="lg" align="flex-start">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <DeploymentSettings
            draft={draft}
            faults={faults}
            isNew={now === null}
            modelName={modelName}
            model={model}
            cluster={cluster}
            deviceCounts={first.device_counts}
            plan={plan.data}
            onChange={set}
          />
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <Stack gap="md">
            <HostPlan
              plan={plan.data ?? first}
              error={refusal}
              isMarked={!isSound || hasField(refusal)}
              isStale={isSound && (isStale || plan.isPlaceholderData || plan.isPending)}
              devices={cluster.devices}
              weights={model?.weights}
              retry={() => void plan.refetch()}
            />
            {saving.isError && !hasField(saving.error) && (
              <ProblemAlert title="It was not saved" error={saving.error} />
            )}
            <Group>
              <Button
                type="submit"
                leftSection={<IconPlayerPlay size={16} aria-hidden />}
                loading={saving.isPending}
                disabled={!isSound || isSame || refusal !== null || verdict === "never"}
              >
                {now ? "Save the changes" : "Host it"}
              </Button>
              <Button variant="default" onClick={onDone}>
                Cancel
              </Button>
            </Group>
            <Text size="sm" c="dimmed">
              {changes
                ? isSame
                  ? "Nothing is changed yet."
                  : needsNewReplicas(changes)
                    ? "New replicas are started, beside the old ones if memory allows."
                    : "Replicas that run take it over at once."
                : verdict === "waits"
                  ? "It can be hosted nevertheless, and waits until there is room."
                  : ""}
            </Text>
          </Stack>
        </Grid.Col>
      </Grid>
    </form>
  );
}
