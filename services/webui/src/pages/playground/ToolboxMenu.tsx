import { Button, Menu } from "@mantine/core";
import { IconTools } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ChatMessage } from "../../api/generation";
import { clusterQuery } from "../../api/queries";
import { type Command, toolboxQuery } from "../../api/toolbox";
import { RunCommand } from "./RunCommand";

interface ToolboxMenuProps {
  disabled: boolean;
  onRun: (messages: ChatMessage[]) => void;
}

/** The commands that plugins offer, for code that is pasted. */
export function ToolboxMenu({ disabled, onRun }: ToolboxMenuProps) {
  const cluster = useQuery(clusterQuery).data;
  const commands = useQuery(toolboxQuery(cluster?.caps_version ?? 0));
  const offered = (commands.data ?? []).filter(({ enabled }) => enabled);
  const [command, setCommand] = useState<Command | null>(null);
  const [isOpen, setIsOpen] = useState(false);
  return (
    <>
      <Menu position="top-start" width={300}>
        <Menu.Target>
          <Button
            variant="default"
            leftSection={<IconTools size={16} aria-hidden />}
            disabled={disabled}
          >
            Toolbox
          </Button>
        </Menu.Target>
        <Menu.Dropdown mah={380} style={{ overflowY: "auto" }}>
          {offered.length === 0 && (
            <Menu.Label>
              {commands.isError ? commands.error.message : "No command is offered"}
            </Menu.Label>
          )}
          {offered.map((each) => (
            <Menu.Item
              key={each.name}
              title={each.description}
              onClick={() => {
                setCommand(each);
                setIsOpen(true);
              }}
            >
              {each.label}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <RunCommand
        command={command}
        opened={isOpen}
        onClose={() => setIsOpen(false)}
        onRun={(messages) => {
          setIsOpen(false);
          onRun(messages);
        }}
      />
    </>
  );
}
