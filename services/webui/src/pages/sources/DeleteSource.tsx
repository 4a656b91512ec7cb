import { Text } from "@mantine/core";
import { type Source, useDeleteSource } from "../../api/sources";
import { Confirm } from "../../parts/Confirm";

export function DeleteSource({ source, onClose }: { source: Source | null; onClose: () => void }) {
  const remove = useDeleteSource();
  return (
    <Confirm
      opened={source !== null}
      title={`Delete ${source?.name ?? ""}?`}
      verb="Delete"
      keep="Keep it"
      failure="It was not deleted"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => source && remove.mutate(source, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={remove.reset}
    >
      <Text>
        Its files leave the next dataset. Datasets that were made before, and what was trained on
        them, stay as they are.
      </Text>
    </Confirm>
  );
}
