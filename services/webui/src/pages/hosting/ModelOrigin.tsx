import { FileInput, TextInput } from "@mantine/core";
import { type ModelDraft, nameOfArchive } from "./newModel";

interface ModelOriginProps {
  draft: ModelDraft;
  archive: File | null;
  said: string | undefined;
  onChange: (changes: Partial<ModelDraft>) => void;
  onArchive: (archive: File | null) => void;
}

/** Where a model's files are: on the hub, in a folder, or in an archive on this computer. */
export function ModelOrigin({ draft, archive, said, onChange, onArchive }: ModelOriginProps) {
  if (draft.origin === "archive") {
    return (
      <FileInput
        label="Archive"
        placeholder="Choose an archive"
        description="A zip or tar of the model's folder, on this computer: config.json, the tokenizer, the weights as safetensors."
        accept=".zip,.tar,.tgz,.gz,.bz2,.xz,.zst"
        clearable
        value={archive}
        onChange={(chosen) => {
          onArchive(chosen);
          if (chosen && !draft.name) {
            onChange({ name: nameOfArchive(chosen.name) });
          }
        }}
        withAsterisk
      />
    );
  }
  const isHub = draft.origin === "hub";
  return (
    <TextInput
      label={isHub ? "Id on the hub" : "Folder"}
      placeholder={isHub ? "Qwen/Qwen2.5-Coder-1.5B" : "/models/our-model"}
      description={
        isHub
          ? "Its small files are read now, its weights come with a download."
          : "An absolute path on the host of the inference service. It is used where it is."
      }
      value={draft.place}
      error={said}
      onChange={(event) => onChange({ place: event.currentTarget.value })}
      required
      data-autofocus
    />
  );
}
