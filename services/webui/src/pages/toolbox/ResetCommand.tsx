import { Text } from "@mantine/core";
import { type Command, useResetCommand } from "../../api/toolbox";
import { Confirm } from "../../parts/Confirm";

interface ResetCommandProps {
  command: Command;
  opened: boolean;
  onClose: () => void;
  onDone: () => void;
}

/** Back to what comes along, or away with what somebody added. */
export function ResetCommand({ command, opened, onClose, onDone }: ResetCommandProps) {
  const reset = useResetCommand();
  const isAdded = command.origin === "added";
  return (
    <Confirm
      opened={opened}
      title={isAdded ? `Remove ${command.name}?` : `Reset ${command.name}?`}
      verb={isAdded ? "Remove it" : "Reset it"}
      keep="Keep it"
      failure={isAdded ? "It was not removed" : "It was not reset"}
      isPending={reset.isPending}
      error={reset.error}
      onConfirm={() =>
        reset.mutate(command, {
          onSuccess: () => {
            onClose();
            onDone();
          },
        })
      }
      onClose={onClose}
      onClosed={reset.reset}
    >
      <Text>
        {isAdded
          ? "Nobody is offered it any more, and its text is lost."
          : "It becomes what comes with Hearth, and your text is lost."}
      </Text>
    </Confirm>
  );
}
