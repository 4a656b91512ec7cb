import { Button } from "@mantine/core";
import { IconSend2 } from "@tabler/icons-react";
import type { useTestProvider } from "../../api/providers";

interface TryButtonProps {
  providerId: string;
  /** By the provider's own name. */
  model: string;
  test: ReturnType<typeof useTestProvider>;
}

/** Sends one short question to one model. */
export function TryButton({ providerId, model, test }: TryButtonProps) {
  return (
    <Button
      variant="default"
      size="xs"
      leftSection={<IconSend2 size={14} aria-hidden />}
      aria-label={`Try ${model}`}
      loading={test.isPending}
      onClick={() => test.mutate({ providerId, model })}
    >
      Try
    </Button>
  );
}
