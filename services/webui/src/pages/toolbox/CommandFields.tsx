import { Group, Input, SegmentedControl, SimpleGrid, Stack, TextInput } from "@mantine/core";
import type { Command } from "../../api/toolbox";
import { type CommandDraft, linesFault, nameFault } from "./commandDraft";

const SELECTIONS: { value: Command["selection"]; label: string }[] = [
  { value: "needed", label: "Needed" },
  { value: "optional", label: "Optional" },
  { value: "unwanted", label: "Unwanted" },
];

interface CommandFieldsProps {
  draft: CommandDraft;
  isNew: boolean;
  isTaken: boolean;
  onChange: (changes: Partial<CommandDraft>) => void;
}

/** What a command is called, and what it needs of the editor. */
export function CommandFields({ draft, isNew, isTaken, onChange }: CommandFieldsProps) {
  const fault = draft.name && nameFault(draft.name);
  return (
    <>
      <SimpleGrid cols={{ base: 1, xs: isNew ? 2 : 1 }} spacing="md">
        {isNew && (
          <TextInput
            label="Name"
            placeholder="to-rust"
            required
            maxLength={40}
            data-autofocus
            value={draft.name}
            error={fault || (isTaken && "There is one of this name: change that")}
            onChange={(event) => onChange({ name: event.currentTarget.value })}
          />
        )}
        <TextInput
          label="Label"
          placeholder="Translate to Rust"
          required
          maxLength={60}
          value={draft.label}
          onChange={(event) => onChange({ label: event.currentTarget.value })}
        />
      </SimpleGrid>
      <TextInput
        label="Description"
        placeholder="What a developer reads before running it"
        required
        maxLength={200}
        value={draft.description}
        onChange={(event) => onChange({ description: event.currentTarget.value })}
      />
      <Group gap="md" align="flex-end">
        <Stack gap={4} role="group" aria-label="Selection">
          <Input.Label component="div">Selected code</Input.Label>
          <SegmentedControl
            data={SELECTIONS}
            value={draft.selection}
            onChange={(selection) =>
              onChange({ selection: selection as CommandDraft["selection"] })
            }
          />
        </Stack>
        {draft.selection === "needed" && (
          <Group gap="md" wrap="nowrap" align="flex-end">
            <TextInput
              label="Lines from"
              inputMode="numeric"
              w={90}
              value={draft.minLines}
              error={linesFault(draft) !== ""}
              onChange={(event) => onChange({ minLines: event.currentTarget.value })}
            />
            <TextInput
              label="to"
              aria-label="Lines to"
              inputMode="numeric"
              w={90}
              value={draft.maxLines}
              error={linesFault(draft) !== ""}
              onChange={(event) => onChange({ maxLines: event.currentTarget.value })}
            />
          </Group>
        )}
      </Group>
      {linesFault(draft) && <Input.Error>{linesFault(draft)}</Input.Error>}
    </>
  );
}
