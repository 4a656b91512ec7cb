import { Badge, Button, Group, Text } from "@mantine/core";
import type { Token } from "../../api/queries";
import { day } from "../../parts/format";
import { RecordLine } from "../../parts/RecordLine";
import { useNow } from "../../parts/useNow";

export function TokenLine({ token, onRevoke }: { token: Token; onRevoke: () => void }) {
  const now = useNow(60);
  const isExpired = token.expires_at > 0 && token.expires_at <= now;
  const lifetime =
    token.expires_at === 0 ? "never expires" : !isExpired && `expires ${day(token.expires_at)}`;
  return (
    <RecordLine
      name={token.name}
      facts={[`created ${day(token.created_at)}`, lifetime]}
      aside={
        <Button variant="default" size="xs" onClick={onRevoke} aria-label={`Revoke ${token.name}`}>
          Revoke
        </Button>
      }
    >
      <Group gap={6} mt={6}>
        {token.scopes.map((scope) => (
          <Badge
            key={scope}
            variant={scope === "admin" ? "light" : "default"}
            color="red"
            tt="none"
            fw={500}
          >
            {scope}
          </Badge>
        ))}
      </Group>
      {isExpired && (
        <Text size="sm" c="red" mt={4}>
          Expired {day(token.expires_at)}: it is refused.
        </Text>
      )}
    </RecordLine>
  );
}
