import { Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { type FormEvent, useState } from "react";
import type { ChatMessage } from "../../api/generation";
import type { Command } from "../../api/toolbox";
import { filledInMessages, selectionFault, usesArgs } from "../../parts/prompt";

interface RunCommandProps {
  /** Null until one was chosen. */
  command: Command | null;
  opened: boolean;
  onClose: () => void;
  onRun: (messages: ChatMessage[]) => void;
}

/** Takes the code that an editor would have selected. It stays for the next command. */
export function RunCommand({ command, opened, onClose, onRun }: RunCommandProps) {
  const narrow = useMediaQuery("(max-width: 48em)");
  const [code, setCode] = useState("");
  const [file, setFile] = useState("");
  const [args, setArgs] = useState("");
  const fault = command ? selectionFault(command, code) : "";
  function submit(event: FormEvent) {
    event.preventDefault();
    if (command && !fault) {
      const selected = code.replace(/\n+$/, "");
      const named = file.trim() || "the editor";
      const values = { code: selected, file: named, line: 1, args: args.trim() };
      onRun(filledInMessages(command.messages, values));
    }
  }
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      title={command?.label ?? ""}
      size="lg"
      fullScreen={narrow ?? false}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {command && (
        <form onSubmit={submit}>
          <Stack>
            <Text c="dimmed" size="sm">
              {command.description}. It begins a new chat.
            </Text>
            {command.selection !== "unwanted" && (
              <Textarea
                label="Selected code"
                placeholder="Paste it here"
                autosize
                minRows={6}
                maxRows={16}
                data-autofocus
                required={command.selection === "needed"}
                styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
                value={code}
                error={code !== "" && fault}
                onChange={(event) => setCode(event.currentTarget.value)}
              />
            )}
            {usesArgs(command) && (
              <Textarea
                label="After the command"
                autosize
                minRows={1}
                maxRows={6}
                value={args}
                onChange={(event) => setArgs(event.currentTarget.value)}
              />
            )}
            <TextInput
              label="File"
              placeholder="src/app.py"
              value={file}
              onChange={(event) => setFile(event.currentTarget.value)}
            />
            <Group justify="flex-end">
              <Button variant="default" onClick={onClose}>
                Cancel
              </Button>
              <Button type="submit" disabled={fault !== ""}>
                Run
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
