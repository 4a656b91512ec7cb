import { Button, Group, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconDownload, IconPlayerStop, IconTrash } from "@tabler/icons-react";
import {
  type CatalogueModel,
  useCancelDownload,
  useDeleteWeights,
  useDownloadWeights,
  useRemoveModel,
} from "../../api/catalogue";
import { Confirm } from "../../parts/Confirm";
import { bytes } from "../../parts/format";

// Those of the catalogue and the starter model are always known.
const ADDED = new Set(["hub", "local", "upload"]);

interface ModelFilesProps {
  model: CatalogueModel;
  isHosted: boolean;
  onRemoved: () => void;
}

/** What may be done with the files of a model: fetched, freed, forgotten. */
export function ModelFiles({ model, isHosted, onRemoved }: ModelFilesProps) {
  const { name, hub_id, weights } = model;
  const download = useDownloadWeights();
  const cancel = useCancelDownload();
  const isComing = weights.state === "downloading";
  const isHere = weights.state === "present";
  const failure = download.error ?? cancel.error;
  return (
    <>
      <Group gap="xs">
        {hub_id && !isHere && !isComing && (
          <Button
            variant="default"
            size="xs"
            leftSection={<IconDownload size={14} aria-hidden />}
            loading={download.isPending}
            onClick={() => download.mutate(name)}
          >
            {weights.present_bytes > 0 ? "Go on with the download" : "Download the weights"}
          </Button>
        )}
        {isComing && (
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPlayerStop size={14} aria-hidden />}
            loading={cancel.isPending}
            onClick={() => cancel.mutate(name)}
          >
            Stop the download
          </Button>
        )}
        {hub_id && !isComing && weights.present_bytes > 0 && (
          <DeleteWeights model={model} isHosted={isHosted} />
        )}
        {ADDED.has(model.origin) && (
          <RemoveModel model={model} isHosted={isHosted} onRemoved={onRemoved} />
        )}
      </Group>
      {failure && (
        <Text size="sm" c="red" role="alert" mt={4}>
          {failure.message}
        </Text>
      )}
    </>
  );
}

function DeleteWeights({ model, isHosted }: Omit<ModelFilesProps, "onRemoved">) {
  const [opened, { open, close }] = useDisclosure();
  const remove = useDeleteWeights();
  return (
    <>
      <Button
        variant="default"
        size="xs"
        leftSection={<IconTrash size={14} aria-hidden />}
        disabled={isHosted}
        onClick={open}
      >
        Delete the weights
      </Button>
      <Confirm
        opened={opened}
        title={`Delete the weights of ${model.name}?`}
        verb="Delete them"
        keep="Keep them"
        failure="They were not deleted"
        isPending={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(model.name, { onSuccess: close })}
        onClose={close}
        onClosed={remove.reset}
      >
        <Text>
          {bytes(model.weights.present_bytes)} become free on this host. To host the model again,
          they have to be downloaded again.
        </Text>
      </Confirm>
    </>
  );
}

function RemoveModel({ model, isHosted, onRemoved }: ModelFilesProps) {
  const [opened, { open, close }] = useDisclosure();
  const remove = useRemoveModel();
  return (
    <>
      <Button
        variant="default"
        size="xs"
        leftSection={<IconTrash size={14} aria-hidden />}
        disabled={isHosted}
        onClick={open}
      >
        Remove the model
      </Button>
      <Confirm
        opened={opened}
        title={`Remove ${model.name}?`}
        verb="Remove it"
        keep="Keep it"
        failure="It was not removed"
        isPending={remove.isPending}
        error={remove.error}
        onConfirm={() => remove.mutate(model.name, { onSuccess: onRemoved })}
        onClose={close}
        onClosed={remove.reset}
      >
        <Text>
          {model.local_path
            ? "Its folder stays as it is."
            : "Weights that were downloaded of it are deleted."}
        </Text>
      </Confirm>
    </>
  );
}
