import { Button, Group, SegmentedControl, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { type FormEvent, useState } from "react";
import { type CatalogueModel, useAddModel } from "../../api/catalogue";
import { Problem } from "../../api/problem";
import { uploadWeights } from "../../api/weightUploads";
import { Disclosure } from "../../parts/Disclosure";
import { ProblemAlert } from "../../parts/ProblemAlert";
import { Row } from "../../parts/Row";
import { Surface } from "../../parts/Surface";
import { ModelOrigin } from "./ModelOrigin";
import { ModelOverrides } from "./ModelOverrides";
import {
  contextFault,
  emptyDraft,
  type Field,
  fieldOf,
  type ModelDraft,
  newModelOf,
  type Origin,
  overridesOf,
} from "./newModel";

const ORIGINS: { value: Origin; label: string }[] = [
  { value: "hub", label: "Model hub" },
  { value: "folder", label: "Local folder" },
  { value: "archive", label: "Archive" },
];

interface AddModelProps {
  onAdded: (model: CatalogueModel) => void;
  /** The page shows how far the upload is. */
  onUpload: () => void;
  onBack: () => void;
}

/** Any model that the engine can serve: by its id on the hub, by a folder, as an archive. */
export function AddModel({ onAdded, onUpload, onBack }: AddModelProps) {
  const [draft, setDraft] = useState<ModelDraft>(emptyDraft);
  const [archive, setArchive] = useState<File | null>(null);
  const [showsMore, setShowsMore] = useState(false);
  const adding = useAddModel();
  const set = (changes: Partial<ModelDraft>) => {
    adding.reset();
    setDraft((before) => ({ ...before, ...changes }));
  };
  const problem = adding.error;
  const field = problem instanceof Problem ? fieldOf(problem.param) : "";
  const said = (name: Field) => (field === name ? problem?.message : undefined);
  const { origin, name } = draft;
  const isArchive = origin === "archive";
  const isComplete = isArchive ? archive && name.trim() : draft.place.trim();
  // A fault of a field that is hidden would not be seen.
  const isMoreOpen = showsMore || (field !== "" && !["place", "name", "revision"].includes(field));
  const add = (event: FormEvent) => {
    event.preventDefault();
    if (isArchive && archive) {
      uploadWeights(name.trim(), archive, overridesOf({ ...draft, chat_template: "" }));
      onUpload();
    } else {
      adding.mutate(newModelOf(draft), { onSuccess: onAdded });
    }
  };
  return (
    <form onSubmit={add} aria-label="Add a model">
      <Surface label="Add a model">
        <Row>
          <Stack gap="md">
            <SegmentedControl
              fullWidth
              aria-label="Where its files are"
              value={origin}
              onChange={(chosen) => set({ origin: chosen as Origin })}
              data={ORIGINS}
            />
            <ModelOrigin
              draft={draft}
              archive={archive}
              said={said("place")}
              onChange={set}
              onArchive={setArchive}
            />
            <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="md">
              <TextInput
                label="Name"
                description={
                  isArchive
                    ? "What requests call it. One of the catalogue gets these weights."
                    : "What requests call it. Empty: the id, or the folder's name."
                }
                value={name}
                error={said("name")}
                onChange={(event) => set({ name: event.currentTarget.value })}
                required={isArchive}
              />
              {origin === "hub" && (
                <TextInput
                  label="Revision"
                  description="A branch, tag or commit. Empty: the newest."
                  value={draft.revision}
                  error={said("revision")}
                  onChange={(event) => set({ revision: event.currentTarget.value })}
                />
              )}
            </SimpleGrid>
            <Disclosure
              label="What its files do not say"
              opened={isMoreOpen}
              onToggle={() => setShowsMore(!isMoreOpen)}
            />
            {isMoreOpen && (
              <ModelOverrides draft={draft} hasTemplate={!isArchive} said={said} onChange={set} />
            )}
            {problem && !field && <ProblemAlert title="The model was not added" error={problem} />}
            <Group justify="space-between">
              <Button
                variant="default"
                leftSection={<IconArrowLeft size={14} aria-hidden />}
                onClick={onBack}
              >
                Back to the catalogue
              </Button>
              <Button
                type="submit"
                loading={adding.isPending}
                disabled={!isComplete || contextFault(draft.context_tokens) !== ""}
              >
                {isArchive ? "Upload it" : "Add it"}
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
