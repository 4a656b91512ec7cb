import { Group, Input, SegmentedControl, Select, SimpleGrid, Stack, Switch } from "@mantine/core";
import { NumberField } from "../../parts/NumberField";
import { faultsOfModel, type ModelDraft, OWN_FIM } from "./modelDraft";

interface ModelFieldsProps {
  draft: ModelDraft;
  families: string[];
  onChange: (changes: Partial<ModelDraft>) => void;
}

/** What a provider does not say of a model, or says wrongly. */
export function ModelFields({ draft, families, onChange }: ModelFieldsProps) {
  const faults = faultsOfModel(draft);
  return (
    <Stack gap="md">
      <SegmentedControl
        fullWidth
        aria-label={`What ${draft.name} does`}
        data={[
          { value: "text", label: "Writes text" },
          { value: "embeddings", label: "Makes embeddings" },
        ]}
        value={draft.makesEmbeddings ? "embeddings" : "text"}
        onChange={(value) => onChange({ makesEmbeddings: value === "embeddings" })}
      />
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
        <NumberField
          label="Context"
          unit="tokens"
          description="Prompt and answer together."
          text={draft.contextTokens}
          error={faults.contextTokens}
          onChange={(contextTokens) => onChange({ contextTokens })}
        />
        {draft.makesEmbeddings ? (
          <NumberField
            label="Embedding size"
            unit="numbers"
            description="How many numbers each has."
            text={draft.embeddingSize}
            error={faults.embeddingSize}
            onChange={(embeddingSize) => onChange({ embeddingSize })}
          />
        ) : (
          <NumberField
            label="Longest answer"
            unit="tokens"
            description="Empty: as long as the context lets it."
            text={draft.maxOutput}
            error={faults.maxOutput}
            onChange={(maxOutput) => onChange({ maxOutput })}
          />
        )}
      </SimpleGrid>
      {!draft.makesEmbeddings && (
        <AbilityFields
          draft={draft}
          families={families}
          error={faults.abilities}
          onChange={onChange}
        />
      )}
    </Stack>
  );
}

const ABILITIES = [
  ["chat", "Chat"],
  ["completion", "Completion"],
  ["tools", "Tools"],
  ["images", "Images"],
] as const;

function AbilityFields({
  draft,
  families,
  error,
  onChange,
}: ModelFieldsProps & { error: string | undefined }) {
  const isOfChat = (field: string) => field === "tools" || field === "images";
  return (
    <>
      <Input.Wrapper label="Abilities" labelElement="div" error={error}>
        <Group gap="lg" mt={4} mb={error ? 6 : 0} role="group" aria-label="Abilities">
          {ABILITIES.map(([field, label]) => (
            <Switch
              key={field}
              label={label}
              checked={draft[field] && (draft.chat || !isOfChat(field))}
              disabled={isOfChat(field) && !draft.chat}
              onChange={(event) => onChange({ [field]: event.currentTarget.checked })}
            />
          ))}
        </Group>
      </Input.Wrapper>
      <Select
        label="Fill in the middle"
        description={
          families.length > 0
            ? "How it completes at a cursor: its server takes a suffix, or it knows the tokens of a family."
            : "Whether its server completes at a cursor, between a prompt and a suffix."
        }
        data={[
          { value: "", label: "No" },
          { value: OWN_FIM, label: "Its server takes a suffix" },
          ...families.map((family) => ({ value: family, label: `Tokens of ${family}` })),
        ]}
        value={draft.fim}
        allowDeselect={false}
        onChange={(fim) => onChange({ fim: fim ?? "" })}
      />
    </>
  );
}
