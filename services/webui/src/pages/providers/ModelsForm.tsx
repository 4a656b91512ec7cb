import { Button, Group, Stack, Text } from "@mantine/core";
import { type FormEvent, useState } from "react";
import {
  type Provider,
  type ProviderKind,
  useChangeProvider,
  useTestProvider,
} from "../../api/providers";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Section } from "../../parts/Section";
import { Surface } from "../../parts/Surface";
import { ModelSettings } from "./ModelSettings";
import {
  areSaved,
  draftOfModel,
  draftOfName,
  draftOfOffer,
  isSaved,
  isSound,
  type ModelDraft,
  modelOf,
} from "./modelDraft";
import { OfferPicker } from "./OfferPicker";

interface ModelsFormProps {
  provider: Provider;
  kind: ProviderKind;
  onDone: () => void;
}

/** Which models of a provider may be used, and what each can do. */
export function ModelsForm({ provider, kind, onDone }: ModelsFormProps) {
  const { provider_id, models, is_enabled, leaves_site } = provider;
  const [drafts, setDrafts] = useState<ModelDraft[]>(() => models.map(draftOfModel));
  const listing = useTestProvider();
  const save = useChangeProvider();
  const isSame = areSaved(drafts, models);

  function change(next: ModelDraft[]) {
    save.reset();
    setDrafts(next);
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    save.mutate({ providerId: provider_id, body: { models: drafts.map(modelOf) } });
  }

  return (
    <form onSubmit={submit} aria-label="Models">
      <Stack gap="lg">
        <OfferPicker
          listing={listing}
          drafts={drafts}
          onList={() => listing.mutate({ providerId: provider_id, model: "" })}
          onPick={(offer) => change([...drafts, draftOfOffer(offer, leaves_site)])}
          onRemove={(name) => change(drafts.filter((draft) => draft.name !== name))}
          onName={(name) => change([...drafts, draftOfName(name, leaves_site)])}
        />
        <Section title="Models that may be used">
          <Surface label="Picked models">
            {drafts.length === 0 && (
              <Row>
                <Text size="sm" c="dimmed">
                  None yet. Only what is picked here can be asked for.
                </Text>
              </Row>
            )}
            {drafts.map((draft, index) => (
              <Row key={draft.name}>
                <ModelSettings
                  providerId={provider_id}
                  draft={draft}
                  families={kind.fim_families}
                  isSaved={isSaved(draft, models)}
                  onChange={(changed) => change(drafts.with(index, { ...draft, ...changed }))}
                  onRemove={() => change(drafts.toSpliced(index, 1))}
                />
              </Row>
            ))}
          </Surface>
        </Section>
        {save.isError && <ProblemAlert title="The models were not saved" error={save.error} />}
        <Group>
          <Button
            type="submit"
            loading={save.isPending}
            disabled={isSame || !drafts.every(isSound)}
          >
            Save the models
          </Button>
          <Button variant="default" onClick={onDone}>
            {isSame ? "Done" : "Cancel"}
          </Button>
        </Group>
        <Text size="sm" c="dimmed" role="status">
          {isSame && models.length > 0 && (save.isSuccess ? "Saved. " : "")}
          {isSame &&
            models.length > 0 &&
            !is_enabled &&
            "It is still off: switch it on in the list."}
        </Text>
      </Stack>
    </form>
  );
}
