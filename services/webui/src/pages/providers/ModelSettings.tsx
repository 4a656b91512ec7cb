import { Button, Group, Stack, Text } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import { useTestProvider } from "../../api/providers";
import { Disclosure } from "../../parts/Disclosure";
import { integer } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { ModelFields } from "./ModelFields";
import { abilityWords, isSound, type ModelDraft, modelOf } from "./modelDraft";
import { TestOutcome } from "./TestOutcome";
import { TryButton } from "./TryButton";

interface ModelSettingsProps {
  providerId: string;
  draft: ModelDraft;
  families: string[];
  isSaved: boolean;
  onChange: (changes: Partial<ModelDraft>) => void;
  onRemove: () => void;
}

/** One picked model: what it can do, to be changed and tried. */
export function ModelSettings(props: ModelSettingsProps) {
  const { providerId, draft, isSaved, onRemove } = props;
  // A new one is looked over; what was saved once is not in the way.
  const [opened, setOpened] = useState(!isSaved);
  const test = useTestProvider();
  const isWrong = !isSound(draft);
  const model = modelOf(draft);
  return (
    <Stack gap="xs" role="group" aria-label={draft.name}>
      <RecordLine
        name={draft.name}
        facts={
          isWrong ? [] : [`context ${integer(model.context_tokens)} tokens`, ...abilityWords(model)]
        }
        aside={
          <Group gap={6} wrap="nowrap">
            {isSaved && <TryButton providerId={providerId} model={draft.name} test={test} />}
            <Button
              variant="default"
              size="xs"
              aria-label={`Remove ${draft.name}`}
              onClick={onRemove}
            >
              <IconTrash size={14} aria-hidden />
            </Button>
          </Group>
        }
      >
        {!isSaved && (
          <Text size="sm" c="dimmed">
            Not saved yet: save, then try it.
          </Text>
        )}
      </RecordLine>
      <TestOutcome test={test} />
      <Disclosure label="Settings" opened={opened || isWrong} onToggle={() => setOpened(!opened)} />
      {(opened || isWrong) && <ModelFields {...props} />}
    </Stack>
  );
}
