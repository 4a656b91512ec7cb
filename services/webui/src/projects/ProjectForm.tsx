import { Button, Group, Select, Stack, Switch, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import type { NewProject } from "../api/projects";
import { clusterQuery } from "../api/queries";
import { ProblemAlert } from "../parts/ProblemAlert";

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

interface ProjectFormProps {
  initial: NewProject;
  verb: string;
  isPending: boolean;
  error: Error | null;
  onSubmit: (project: NewProject) => void;
  onClose: () => void;
}

export function ProjectForm(props: ProjectFormProps) {
  const models = useQuery(clusterQuery).data?.models ?? [];
  const able = models.filter((model) => model.supports_finetune).map((model) => model.name);
  const [project, setProject] = useState(props.initial);
  const [chosen, setChosen] = useState<string | null>(null);
  // A new project gets the first that can be fine-tuned, until something else is chosen.
  const suggested = props.initial.name ? props.initial.finetune_model : (able[0] ?? "");
  const model = chosen ?? suggested;
  const isNamed = NAME.test(project.name);

  function submit(event: FormEvent) {
    event.preventDefault();
    props.onSubmit({ ...project, finetune_model: model });
  }

  return (
    <form onSubmit={submit}>
      <Stack>
        <TextInput
          label="Name"
          description="Letters, digits, dots, dashes and underscores; at most 64"
          placeholder="my-code"
          required
          maxLength={64}
          data-autofocus
          value={project.name}
          error={
            project.name !== "" && !isNamed && "This has a character that a name can not have."
          }
          onChange={(event) => setProject({ ...project, name: event.currentTarget.value })}
        />
        <Select
          label="Base model"
          description="What is fine-tuned. A scan asks it how surprising each file is"
          placeholder="None: files are not scored, and there is no fine-tune"
          clearable
          data={able}
          value={model || null}
          onChange={(value) => setChosen(value ?? "")}
          nothingFoundMessage="No model of the catalogue can be fine-tuned"
        />
        <Switch
          label="Scan by itself when sources change"
          checked={!project.manual_scans}
          onChange={(event) =>
            setProject({ ...project, manual_scans: !event.currentTarget.checked })
          }
        />
        {props.error && <ProblemAlert title="It was not saved" error={props.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={props.onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={props.isPending} disabled={!isNamed}>
            {props.verb}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
