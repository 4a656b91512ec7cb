import { SimpleGrid, Textarea, TextInput } from "@mantine/core";
import { NumberField } from "../../parts/NumberField";
import { contextFault, type OverridesDraft } from "./newModel";

interface ModelOverridesProps {
  draft: OverridesDraft;
  /** An archive holds its template itself. */
  hasTemplate: boolean;
  /** What the server said of a field. */
  said: (field: keyof OverridesDraft) => string | undefined;
  onChange: (changes: Partial<OverridesDraft>) => void;
}

/** What a model's files do not say, or say wrongly. */
export function ModelOverrides({ draft, hasTemplate, said, onChange }: ModelOverridesProps) {
  const text = (field: keyof OverridesDraft, label: string, description: string) => (
    <TextInput
      label={label}
      description={description}
      inputWrapperOrder={["label", "input", "error", "description"]}
      value={draft[field]}
      error={said(field)}
      onChange={(event) => onChange({ [field]: event.currentTarget.value })}
    />
  );
  return (
    <>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
        <NumberField
          label="Context"
          unit="tokens"
          description="Prompt and answer together."
          text={draft.context_tokens}
          error={contextFault(draft.context_tokens) || said("context_tokens")}
          onChange={(context_tokens) => onChange({ context_tokens })}
        />
        {text("fim_family", "Fill-in-the-middle family", "Such as qwen2.5-coder or starcoder.")}
        {text("tool_parser", "Tool parser", "The engine's name of it, such as hermes.")}
        {text("reasoning_parser", "Reasoning parser", "The engine's name of it, such as qwen3.")}
      </SimpleGrid>
      {hasTemplate && (
        <Textarea
          label="Chat template"
          description="Jinja, as in chat_template.jinja."
          autosize
          minRows={2}
          maxRows={10}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          value={draft.chat_template}
          error={said("chat_template")}
          onChange={(event) => onChange({ chat_template: event.currentTarget.value })}
        />
      )}
    </>
  );
}
