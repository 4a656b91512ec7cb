import { Button, Group, SegmentedControl, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { type CatalogueModel, useAddModel } from "../../api/catalogue";
import { Problem } from "../../api/problem";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { emptyDraft, fieldOf, type ModelDraft, newModelOf, type Origin } from "./newModel";

interface AddModelProps {
  onAdded: (model: CatalogueModel) => void;
  onBack: () => void;
}

/** Any model that the engine can serve, by its id on the hub or by a folder. */
export function AddModel({ onAdded, onBack }: AddModelProps) {
  const [draft, setDraft] = useState<ModelDraft>(emptyDraft);
  const adding = useAddModel();
  const set = (changes: Partial<ModelDraft>) => {
    adding.reset();
    setDraft({ ...draft, ...changes });
  };
  const problem = adding.error;
  const field = problem instanceof Problem ? fieldOf(problem.param) : "";
  const said = (name: keyof ModelDraft) => (field === name ? problem?.message : undefined);
  const isHub = draft.origin === "hub";
  const add = (event: FormEvent) => {
    event.preventDefault();
    adding.mutate(newModelOf(draft), { onSuccess: onAdded });
  };
  return (
    <form onSubmit={add} aria-label="Add a model">
      <Surface label="Add a model">
        <Row>
          <Stack gap="md">
            <SegmentedControl
              fullWidth
              aria-label="Where its files are"
              value={draft.origin}
              onChange={(origin) => set({ origin: origin as Origin })}
              data={[
                { value: "hub", label: "Model hub" },
                { value: "folder", label: "Local folder" },
              ]}
            />
            <TextInput
              label={isHub ? "Id on the hub" : "Folder"}
              placeholder={isHub ? "Qwen/Qwen2.5-Coder-1.5B" : "/models/our-model"}
              description={
                isHub
                  ? "Its small files are read now, its weights come with a download."
                  : "An absolute path on the host of the inference service. It is used where it is."
              }
              value={draft.place}
              error={said("place")}
              onChange={(event) => set({ place: event.currentTarget.value })}
              required
              data-autofocus
            />
            <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
              <TextInput
                label="Name"
                description="What requests call it. Empty: the id, or the folder's name."
                value={draft.name}
                error={said("name")}
                onChange={(event) => set({ name: event.currentTarget.value })}
              />
              {isHub && (
                <TextInput
                  label="Revision"
                  description="A branch, tag or commit. Empty: the newest."
                  value={draft.revision}
                  error={said("revision")}
                  onChange={(event) => set({ revision: event.currentTarget.value })}
                />
              )}
            </SimpleGrid>
            {problem && !field && <ProblemAlert title="The model was not added" error={problem} />}
            <Group justify="space-between">
              <Button
                variant="default"
                leftSection={<IconArrowLeft size={14} aria-hidden />}
                onClick={onBack}
              >
                Back to the catalogue
              </Button>
              <Button type="submit" loading={adding.isPending} disabled={!draft.place.trim()}>
                Add it
              </Button>
            </Group>
            <Text size="sm" c="dimmed">
              Architecture, context, memory need, chat template and fill-in-the-middle tokens are
              read from its files. What the engine cannot serve is refused with the reason.
            </Text>
          </Stack>
        </Row>
      </Surface>
    </form>
  );
}
