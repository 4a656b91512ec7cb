import { Text } from "@mantine/core";
import { useState } from "react";
import { type Provider, useDeleteProvider } from "../../api/providers";
import { Confirm } from "../../parts/Confirm";

interface DeleteProviderProps {
  provider: Provider | null;
  onClose: () => void;
}

export function DeleteProvider({ provider, onClose }: DeleteProviderProps) {
  const remove = useDeleteProvider();
  // What was asked stays while the dialog goes away.
  const [asked, setAsked] = useState(provider);
  if (provider && provider !== asked) {
    setAsked(provider);
  }
  return (
    <Confirm
      opened={provider !== null}
      title={`Delete ${asked?.provider_id ?? ""}?`}
      verb="Delete the provider"
      keep="Keep it"
      failure="It was not deleted"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => provider && remove.mutate(provider.provider_id, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={remove.reset}
    >
      <Text>
        Its key is deleted with it, and its models answer no more. Answers that have begun are
        finished.
      </Text>
    </Confirm>
  );
}
