import { Alert, Button, Group, Stack } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { CodeBlock } from "../../parts/CodeBlock";
import { ConnectGuide } from "./ConnectGuide";

/** The only time that a token is shown. */
export function NewToken({ token, onClose }: { token: string; onClose: () => void }) {
  return (
    <Stack>
      <Alert color="yellow" icon={<IconAlertTriangle aria-hidden />}>
        Copy it now. Hearth keeps only a hash of it and can not show it again.
      </Alert>
      <CodeBlock text={token} label="the token" />
      <ConnectGuide token={token} />
      <Group justify="flex-end">
        <Button onClick={onClose}>I have copied it</Button>
      </Group>
    </Stack>
  );
}
