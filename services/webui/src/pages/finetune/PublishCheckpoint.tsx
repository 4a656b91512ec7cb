import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { type Run, type RunCheckpoint, usePublish } from "../../api/runs";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { nameFault } from "./runDraft";

interface PublishCheckpointProps {
  run: Run;
  checkpoint: RunCheckpoint | null;
  onClose: () => void;
}

/** Makes an adapter of a checkpoint. */
export function PublishCheckpoint({ run, checkpoint, onClose }: PublishCheckpointProps) {
  const publish = usePublish(run.run_id);
  const [name, setName] = useState("");
  const fault = nameFault(name);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (checkpoint) {
      publish.mutate({ checkpointId: checkpoint.checkpoint_id, name }, { onSuccess: onClose });
    }
  }

  return (
    <Modal
      opened={checkpoint !== null}
      onClose={onClose}
      onExitTransitionEnd={() => {
        publish.reset();
        setName("");
      }}
      title={`Publish step ${checkpoint?.step ?? ""}`}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <form onSubmit={submit}>
        <Stack>
          <Text>
            It becomes an adapter that clients can ask for, whatever the evaluation says. Replicas
            of {run.spec.model} load it by themselves.
          </Text>
          <TextInput
            label="Name"
            description={`Clients ask for ${run.spec.model}:NAME`}
            placeholder={`${run.spec.name.slice(0, 56)}-${checkpoint?.step ?? ""}`}
            value={name}
            error={fault}
            data-autofocus
            onChange={(event) => setName(event.currentTarget.value)}
          />
          {publish.isError && <ProblemAlert title="It was not published" error={publish.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" loading={publish.isPending} disabled={fault !== ""}>
              Publish
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
