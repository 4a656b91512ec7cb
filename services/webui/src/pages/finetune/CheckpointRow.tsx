import { Badge, Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { clusterQuery } from "../../api/queries";
import type { RunCheckpoint } from "../../api/runs";
import { Cell } from "../../parts/DataTable";
import { bytes, integer, loss, moment } from "../../parts/format";

interface CheckpointRowProps {
  checkpoint: RunCheckpoint;
  onPublish: () => void;
}

export function CheckpointRow({ checkpoint, onPublish }: CheckpointRowProps) {
  const adapters = useQuery(clusterQuery).data?.adapters ?? [];
  const { step, best, train_loss, test_loss, size_bytes, created_at, adapter_ids } = checkpoint;
  const names = adapter_ids.map(
    (id) => adapters.find((adapter) => adapter.adapter_id === id)?.name ?? id,
  );
  return (
    <tr>
      <Cell>
        <Group gap={8}>
          <Text size="sm" fw={600}>
            Step {integer(step)}
          </Text>
          {best && (
            <Badge variant="light" color="blue" tt="none" miw="fit-content">
              best
            </Badge>
          )}
        </Group>
      </Cell>
      <Cell isNumber label="Train loss">
        {loss(train_loss)}
      </Cell>
      <Cell isNumber label="Test loss">
        {test_loss === null ? "–" : loss(test_loss)}
      </Cell>
      <Cell isNumber>{bytes(size_bytes)}</Cell>
      <Cell>{moment(created_at)}</Cell>
      <Cell>{names.join(", ")}</Cell>
      <Cell>
        <Button
          size="compact-sm"
          variant="default"
          aria-label={`Publish step ${step}`}
          onClick={onPublish}
        >
          Publish
        </Button>
      </Cell>
    </tr>
  );
}
