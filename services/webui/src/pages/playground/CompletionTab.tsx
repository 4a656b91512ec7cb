import { Button, Group, Kbd, Stack, Text } from "@mantine/core";
import { useSessionStorage } from "@mantine/hooks";
import { IconPlayerPlay } from "@tabler/icons-react";
import { streamCompletion } from "../../api/generation";
import type { OfferedName } from "../../api/queries";
import type { Hindrance } from "../../parts/readiness";
import { FillEditor } from "./FillEditor";
import { HindranceAlert } from "./HindranceAlert";
import { Outcome } from "./Outcome";
import { type Parameters, unescaped } from "./parameters";
import { RunButton } from "./RunButton";
import { useGeneration } from "./useGeneration";

const BEFORE = 'def mean(values):\n    """The arithmetic mean; 0.0 for no values."""\n    ';
const AFTER = "\n\n\nprint(mean([1, 2, 3]))\n";

interface CompletionTabProps {
  parameters: Parameters;
  model: string;
  /** The model, if another server has it. */
  elsewhere: OfferedName | null;
  hindrance: Hindrance | null;
}

export function CompletionTab({ parameters, model, elsewhere, hindrance }: CompletionTabProps) {
  const [draft, setDraft] = useSessionStorage({
    key: "hearth-playground-draft",
    defaultValue: { text: BEFORE + AFTER, cursor: BEFORE.length },
  });
  const { generation, start, cancel, clear } = useGeneration();
  const busy = generation?.status === "running";
  const inserted = generation?.text ?? "";

  function complete() {
    if (busy || hindrance) {
      return;
    }
    const { text, cursor } = inserted ? kept() : draft;
    const stop = parameters.stop.map(unescaped);
    const suffix = text.slice(cursor);
    const request = {
      model,
      prompt: text.slice(0, cursor),
      ...(suffix.trim() && { suffix }),
      max_tokens: parameters.maxTokens,
      temperature: parameters.temperature,
      ...(stop.length > 0 && { stop }),
    };
    void start((signal) => streamCompletion(request, signal), elsewhere);
  }

  function kept() {
    const { text, cursor } = draft;
    const next = {
      text: text.slice(0, cursor) + inserted + text.slice(cursor),
      cursor: cursor + inserted.length,
    };
    setDraft(next);
    clear();
    return next;
  }

  return (
    <Stack gap="md">
      <FillEditor
        text={draft.text}
        cursor={draft.cursor}
        inserted={inserted}
        busy={busy}
        onChange={(text, cursor) => {
          clear();
          setDraft({ text, cursor });
        }}
        onCursor={(cursor) => setDraft((old) => ({ ...old, cursor }))}
        onSubmit={complete}
        onKeep={kept}
        onDrop={busy ? cancel : clear}
      />
      <HindranceAlert hindrance={hindrance} />
      <Group gap="sm">
        <RunButton
          label="Complete"
          icon={<IconPlayerPlay size={16} aria-hidden />}
          disabled={hindrance !== null}
          busy={busy}
          onRun={complete}
          onStop={cancel}
        />
        {inserted && !busy ? (
          <>
            <Button variant="default" onClick={kept}>
              Keep
            </Button>
            <Button variant="subtle" color="gray" onClick={clear}>
              Drop
            </Button>
          </>
        ) : (
          <Text size="sm" c="dimmed" visibleFrom="sm">
            <Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd> completes at the cursor
            {busy ? ", " : "; then "}
            <Kbd size="xs">Tab</Kbd> keeps, <Kbd size="xs">Esc</Kbd> drops
          </Text>
        )}
      </Group>
      {generation && <Outcome generation={generation} />}
    </Stack>
  );
}
