import { Text } from "@mantine/core";
import { type Run, useCancelRun } from "../../api/runs";
import { Confirm } from "../../parts/Confirm";

interface CancelRunProps {
  run: Run;
  opened: boolean;
  onClose: () => void;
}

export function CancelRun({ run, opened, onClose }: CancelRunProps) {
  const cancel = useCancelRun();
  return (
    <Confirm
      opened={opened}
      title={`Cancel ${run.spec.name}?`}
      verb="Cancel the fine-tune"
      keep="Go on"
      failure="It was not cancelled"
      isPending={cancel.isPending}
      error={cancel.error}
      onConfirm={() => cancel.mutate(run.run_id, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={cancel.reset}
    >
      <Text>
        It writes a checkpoint and stops. Checkpoints are kept and can be published, but the
        training does not go on from them.
      </Text>
    </Confirm>
  );
}
