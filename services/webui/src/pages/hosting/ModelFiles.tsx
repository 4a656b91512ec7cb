import { Button, Group, Text, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconDownload, IconPlayerStop, IconTrash } from "@tabler/icons-react";
import type { UseMutationResult } from "@tanstack/react-query";
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
  const deletion = useDeleteWeights();
  const removal = useRemoveModel();
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
            Download the weights
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
          <Removal
            label={isHere ? "Delete the weights" : "Delete what has come"}
            title={`Delete the weights of ${name}?`}
            verb="Delete them"
            keep="Keep them"
            failure="They were not deleted"
            removal={deletion}
            model={name}
            isHosted={isHosted}
          >
            {`${bytes(weights.present_bytes)} become free on this host. To host the model again, all of it has to be downloaded again.`}
          </Removal>
        )}
        {ADDED.has(model.origin) && (
          <Removal
            label="Remove the model"
            title={`Remove ${name}?`}
            verb="Remove it"
            keep="Keep it"
            failure="It was not removed"
            removal={removal}
            model={name}
            isHosted={isHosted}
            onDone={onRemoved}
          >
            {model.origin === "local"
              ? "Its folder stays as it is."
              : "Weights that Hearth keeps of it are deleted."}
          </Removal>
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

interface RemovalProps {
  /** What the button says. */
  label: string;
  title: string;
  verb: string;
  keep: string;
  failure: string;
  removal: UseMutationResult<unknown, Error, string>;
  model: string;
  isHosted: boolean;
  onDone?: () => void;
  children: string;
}

/** A button that asks first; off while a deployment uses the model. */
function Removal({ removal, model, isHosted, onDone, children, ...words }: RemovalProps) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Tooltip label="A deployment uses it: delete that first" disabled={!isHosted}>
        <Button
          variant="default"
          size="xs"
          leftSection={<IconTrash size={14} aria-hidden />}
          {...(isHosted && { "data-disabled": true })}
          aria-disabled={isHosted}
          onClick={isHosted ? (event) => event.preventDefault() : open}
        >
          {words.label}
        </Button>
      </Tooltip>
      <Confirm
        opened={opened}
        title={words.title}
        verb={words.verb}
        keep={words.keep}
        failure={words.failure}
        isPending={removal.isPending}
        error={removal.error}
        onConfirm={() => removal.mutate(model, { onSuccess: onDone ?? close })}
        onClose={close}
        onClosed={removal.reset}
      >
        <Text>{children}</Text>
      </Confirm>
    </>
  );
}
