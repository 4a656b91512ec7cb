import { Text } from "@mantine/core";
import { type Token, useRevokeToken } from "../../api/queries";
import { Confirm } from "../../parts/Confirm";

export function RevokeToken({ token, onClose }: { token: Token | null; onClose: () => void }) {
  const revoke = useRevokeToken();
  return (
    <Confirm
      opened={token !== null}
      title={`Revoke ${token?.name ?? ""}?`}
      verb="Revoke"
      keep="Keep it"
      failure="It was not revoked"
      isPending={revoke.isPending}
      error={revoke.error}
      onConfirm={() => token && revoke.mutate(token.token_id, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={revoke.reset}
    >
      <Text>
        Whatever uses this token is refused within a second. It can not be brought back: create a
        new one instead.
      </Text>
    </Confirm>
  );
}
