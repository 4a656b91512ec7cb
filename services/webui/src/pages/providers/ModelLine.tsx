import { Stack } from "@mantine/core";
import { type Provider, useTestProvider } from "../../api/providers";
import { integer } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { abilityWords } from "./modelDraft";
import { TestOutcome } from "./TestOutcome";
import { TryButton } from "./TryButton";

interface ModelLineProps {
  providerId: string;
  model: Provider["models"][number];
}

/** A model as it is saved: what requests call it, what it can do, and whether it answers. */
export function ModelLine({ providerId, model }: ModelLineProps) {
  const test = useTestProvider();
  return (
    <Stack gap="xs">
      <RecordLine
        name={model.client_name}
        facts={[
          `context ${integer(model.context_tokens)} tokens`,
          model.max_output_tokens > 0 && `answers of ${integer(model.max_output_tokens)} at most`,
          ...abilityWords(model),
        ]}
        aside={<TryButton providerId={providerId} model={model.name} test={test} />}
      />
      <TestOutcome test={test} />
    </Stack>
  );
}
