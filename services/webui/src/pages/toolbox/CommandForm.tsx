import { Alert, Button, Grid, Group, Stack } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { Problem } from "../../api/problem";
import { type Command, useSaveCommand } from "../../api/toolbox";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { CommandFields } from "./CommandFields";
import { type CommandDraft, draftOf, isComplete, wantedOf } from "./commandDraft";
import { MessageFields } from "./MessageFields";
import { PromptPreview } from "./PromptPreview";
import { ResetCommand } from "./ResetCommand";

interface CommandFormProps {
  /** The one to change; null for a new one. */
  command: Command | null;
  /** Names that there are. */
  taken: string[];
  /** After somebody was faster. */
  onLoadAgain: () => void;
  onDone: () => void;
}

export function CommandForm({ command, taken, onLoadAgain, onDone }: CommandFormProps) {
  const [draft, setDraft] = useState(() => draftOf(command));
  const [isResetting, setIsResetting] = useState(false);
  const save = useSaveCommand();
  const set = (changes: Partial<CommandDraft>) => {
    save.reset();
    setDraft((before) => ({ ...before, ...changes }));
  };
  const isTaken = !command && taken.includes(draft.name);
  const wasSlower = save.error instanceof Problem && save.error.status === 409;
  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate({ name: draft.name, body: wantedOf(draft) }, { onSuccess: onDone });
  }
  return (
    <form onSubmit={submit} aria-label="Command">
      <Grid gap="lg">
        <Grid.Col span={{ base: 12, md: 7 }}>
          <Stack gap="md">
            <CommandFields draft={draft} isNew={!command} isTaken={isTaken} onChange={set} />
            <MessageFields draft={draft} onChange={set} />
          </Stack>
        </Grid.Col>
        <Grid.Col span={{ base: 12, md: 5 }}>
          <PromptPreview messages={wantedOf(draft).messages} />
        </Grid.Col>
      </Grid>
      <Stack mt="lg">
        {wasSlower ? (
          <Alert color="yellow" title="Somebody was faster" role="alert">
            {save.error?.message}
            {command && (
              <Button mt="sm" display="block" size="xs" variant="default" onClick={onLoadAgain}>
                Show theirs instead of mine
              </Button>
            )}
          </Alert>
        ) : (
          save.isError && <ProblemAlert title="It was not saved" error={save.error} />
        )}
        <Group justify="flex-end">
          {command && command.origin !== "default" && (
            <Button variant="default" mr="auto" onClick={() => setIsResetting(true)}>
              {command.origin === "added" ? "Remove" : "Reset to default"}
            </Button>
          )}
          <Button variant="default" onClick={onDone}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending} disabled={!isComplete(draft) || isTaken}>
            {command ? "Save" : "Add"}
          </Button>
        </Group>
      </Stack>
      {command && (
        <ResetCommand
          command={command}
          opened={isResetting}
          onClose={() => setIsResetting(false)}
          onDone={onDone}
        />
      )}
    </form>
  );
}
