import { Text } from "@mantine/core";
import { type Scan, useCancelScan } from "../../api/scans";
import { Confirm } from "../../parts/Confirm";

interface CancelScanProps {
  scan: Scan;
  opened: boolean;
  onClose: () => void;
}

export function CancelScan({ scan, opened, onClose }: CancelScanProps) {
  const cancel = useCancelScan();
  return (
    <Confirm
      opened={opened}
      title="Cancel the scan?"
      verb="Cancel the scan"
      keep="Go on"
      failure="It was not cancelled"
      isPending={cancel.isPending}
      error={cancel.error}
      onConfirm={() => cancel.mutate(scan.scan_id, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={cancel.reset}
    >
      <Text>It makes no dataset then. The one before it stays in force.</Text>
    </Confirm>
  );
}
