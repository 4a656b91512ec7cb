import { Drawer } from "@mantine/core";
import { useState } from "react";
import type { Command } from "../../api/toolbox";
import { CommandForm } from "./CommandForm";

/** To add a command, or to change one. */
export interface CommandTask {
  command: Command | null;
}

interface CommandDrawerProps {
  task: CommandTask | null;
  commands: Command[];
  onTask: (task: CommandTask) => void;
  onClose: () => void;
}

export function CommandDrawer({ task, commands, onTask, onClose }: CommandDrawerProps) {
  // What was shown stays while the drawer goes away, and while others change the command.
  const [shown, setShown] = useState(task);
  if (task && task !== shown) {
    setShown(task);
  }
  const command = shown?.command ?? null;
  const newest = commands.find((each) => each.name === command?.name) ?? null;
  return (
    <Drawer
      opened={task !== null}
      onClose={onClose}
      position="right"
      size="min(1080px, 100%)"
      title={command ? `Command ${command.name}` : "Add a command"}
      closeButtonProps={{ "aria-label": "Close" }}
      styles={{ title: { fontWeight: 650, fontSize: "var(--mantine-font-size-lg)" } }}
    >
      {shown && (
        <CommandForm
          key={`${command?.name}/${command?.edition}`}
          command={command}
          taken={commands.map(({ name }) => name)}
          onLoadAgain={() => onTask({ command: newest })}
          onDone={onClose}
        />
      )}
    </Drawer>
  );
}
