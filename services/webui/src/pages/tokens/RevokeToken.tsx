import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { type Token, useRevokeToken } from "../../api/queries";
import { ProblemAlert } from "../../parts/ProblemAlert";

export function RevokeToken({ token, onClose }: { token: Token | null; onClose: () => void }) {
  const revoke = useRevokeToken();
  return (
    <Modal
      opened={token !== null}
      onClose={onClose}
      onExitTransitionEnd={revoke.reset}
      title={`Revoke ${token?.name ?? ""}?`}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <Stack>
        <Text>
          Whatever uses this token is refused within a second. It can not be brought back: create a
          new one instead.
        </Text>
        {revoke.isError && <ProblemAlert title="It was not revoked" error={revoke.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button
            color="red.9"
            loading={revoke.isPending}
            onClick={() => token && revoke.mutate(token.token_id, { onSuccess: onClose })}
          >
            Revoke
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
