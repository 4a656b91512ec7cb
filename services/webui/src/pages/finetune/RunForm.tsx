import { Alert, Button, Grid, Group, Select, Stack, Text, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { IconPlayerPlay } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useMemo, useState } from "react";
import { useLocation } from "wouter";
import type { Dataset } from "../../api/datasets";
import type { Project } from "../../api/projects";
import { type RunParameter, runPlanQuery, useCreateRun } from "../../api/runs";
import { integer, moment } from "../../parts/format";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { ExpertSettings } from "./ExpertSettings";
import { PlanCard } from "./PlanCard";
import { isSound, nameFault, type RunDraft, specOf } from "./runDraft";

// As long as somebody types, no plan is asked for.
const TYPING_MS = 400;

interface RunFormProps {
  project: Project;
  datasets: Dataset[];
  /** "" for the newest. */
  datasetId: string;
  models: string[];
  parameters: RunParameter[];
}

const datasetLabel = ({ created_at, train, test }: Dataset) =>
  `${moment(created_at)}: ${integer(train.num_files)} train, ${integer(test.num_files)} test files`;

export function RunForm({ project, datasets, datasetId, models, parameters }: RunFormProps) {
  const create = useCreateRun();
  const [, go] = useLocation();
  const [draft, setDraft] = useState<RunDraft>(() => ({
    name: "",
    datasetId: datasetId || (datasets[0]?.dataset_id ?? ""),
    model: models.includes(project.finetune_model) ? project.finetune_model : (models[0] ?? ""),
    publishPolicy: "if_better",
    numCases: "",
    texts: {},
  }));
  const set = (changes: Partial<RunDraft>) => setDraft((old) => ({ ...old, ...changes }));
  const sound = isSound(draft, parameters);
  const spec = useMemo(
    () => specOf(project.project_id, draft, parameters),
    [project.project_id, draft, parameters],
  );
  const [asked] = useDebouncedValue(spec, TYPING_MS);
  const plan = useQuery({ ...runPlanQuery(asked), enabled: draft.model !== "" });
  const isStale = asked !== spec || plan.isFetching;

  function submit(event: FormEvent) {
    event.preventDefault();
    create.mutate(specOf(project.project_id, draft, parameters, draft.name), {
      onSuccess: (run) => go(`/finetune?project=${project.project_id}&run=${run.run_id}`),
    });
  }

  return (
    <form onSubmit={submit}>
      <Grid gap="lg" align="flex-start">
        <Grid.Col span={{ base: 12, lg: 7 }}>
          <Surface label="New fine-tune">
            <Row>
              <Stack>
                <TextInput
                  label="Name"
                  description="Clients will ask for MODEL:NAME when it is published"
                  placeholder="made from the time"
                  value={draft.name}
                  error={nameFault(draft.name)}
                  onChange={(event) => set({ name: event.currentTarget.value })}
                />
                <Select
                  label="Dataset"
                  description={`Of the project ${project.name}`}
                  data={datasets.map((each) => ({
                    value: each.dataset_id,
                    label: datasetLabel(each),
                  }))}
                  value={draft.datasetId}
                  allowDeselect={false}
                  onChange={(value) => set({ datasetId: value ?? "" })}
                />
                <Select
                  label="Base model"
                  description="It stays as it is; the fine-tune is an adapter beside it"
                  data={models}
                  value={draft.model || null}
                  allowDeselect={false}
                  onChange={(value) => set({ model: value ?? "" })}
                  nothingFoundMessage="No model of the catalogue can be fine-tuned"
                  error={models.length === 0 && "No model of the catalogue can be fine-tuned."}
                />
                <Text size="sm" c="dimmed">
                  All else is chosen from dataset and device; the plan says what and why.
                </Text>
              </Stack>
            </Row>
            <Row>
              <ExpertSettings
                draft={draft}
                parameters={parameters}
                choices={plan.data?.choices ?? []}
                onChange={set}
              />
            </Row>
          </Surface>
        </Grid.Col>
        <Grid.Col span={{ base: 12, lg: 5 }}>
          <Stack gap="md">
            <PlanCard plan={plan.data} error={plan.error} isStale={isStale} retry={plan.refetch} />
            {!sound && (
              <Alert color="yellow">Something in the form is out of its range: it is marked.</Alert>
            )}
            {create.isError && <ProblemAlert title="It was not started" error={create.error} />}
            <Group>
              <Button
                type="submit"
                size="md"
                leftSection={<IconPlayerPlay size={18} aria-hidden />}
                loading={create.isPending}
                disabled={!sound || !plan.data?.fits || plan.isError}
              >
                Start
              </Button>
              {plan.data?.fits && !plan.data.fits_now && (
                <Text size="sm" c="dimmed" flex={1}>
                  It waits until the device is free.
                </Text>
              )}
            </Group>
          </Stack>
        </Grid.Col>
      </Grid>
    </form>
  );
}
