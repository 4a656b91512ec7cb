import { Button, Text } from "@mantine/core";
import { IconRefresh } from "@tabler/icons-react";
import { useStartScan } from "../../api/scans";

export function StartScan({ projectId, isFirst }: { projectId: string; isFirst: boolean }) {
  const start = useStartScan();
  return (
    <div>
      <Button
        variant={isFirst ? "filled" : "default"}
        size={isFirst ? "sm" : "xs"}
        leftSection={<IconRefresh size={16} aria-hidden />}
        loading={start.isPending}
        onClick={() => start.mutate({ projectId, fromScratch: false })}
      >
        {isFirst ? "Scan now" : "Scan again"}
      </Button>
      {start.isError && (
        <Text size="sm" c="red" role="alert">
          {start.error.message}
        </Text>
      )}
    </div>
  );
}
