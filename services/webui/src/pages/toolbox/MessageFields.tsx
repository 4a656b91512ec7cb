import { ActionIcon, Button, Code, Group, Select, Stack, Text, Textarea } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import { PLACEHOLDERS } from "../../parts/prompt";
import { type CommandDraft, type MessageDraft, messageFault, withMessage } from "./commandDraft";

const ROLES = [
  { value: "system", label: "System" },
  { value: "user", label: "User" },
];
const MOST_MESSAGES = 8;

interface MessageFieldsProps {
  draft: CommandDraft;
  onChange: (changes: Partial<CommandDraft>) => void;
}

/** What is said to the model, with placeholders. */
export function MessageFields({ draft, onChange }: MessageFieldsProps) {
  const { messages } = draft;
  const change = (id: number, changes: Partial<MessageDraft>) =>
    onChange({
      messages: messages.map((each) => (each.id === id ? { ...each, ...changes } : each)),
    });
  return (
    <Stack gap="sm" role="group" aria-label="Messages">
      {messages.map((message, index) => (
        <Stack key={message.id} gap={6}>
          <Group gap="xs" justify="space-between">
            <Select
              aria-label={`Role of message ${index + 1}`}
              size="xs"
              w={110}
              data={ROLES}
              value={message.role}
              allowDeselect={false}
              onChange={(role) => change(message.id, { role: role as MessageDraft["role"] })}
            />
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove message ${index + 1}`}
              disabled={messages.length === 1}
              onClick={() => onChange({ messages: messages.filter(({ id }) => id !== message.id) })}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </Group>
          <Textarea
            aria-label={`Message ${index + 1}`}
            autosize
            minRows={3}
            maxRows={14}
            maxLength={8000}
            styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
            value={message.content}
            error={messageFault(message)}
            onChange={(event) => change(message.id, { content: event.currentTarget.value })}
          />
        </Stack>
      ))}
      {messages.at(-1)?.role !== "user" && (
        <Text size="sm" c="red">
          The last message must be one of the user.
        </Text>
      )}
      <Button
        variant="subtle"
        color="gray"
        size="xs"
        style={{ alignSelf: "flex-start" }}
        leftSection={<IconPlus size={14} aria-hidden />}
        disabled={messages.length >= MOST_MESSAGES}
        onClick={() => onChange(withMessage(draft))}
      >
        Add message
      </Button>
      <Text size="sm" c="dimmed" component="div">
        Filled in where it is run, each once in a message:
        {Object.entries(PLACEHOLDERS).map(([placeholder, { words }]) => (
          <div key={placeholder}>
            <Code>{placeholder}</Code> {words}
          </div>
        ))}
      </Text>
    </Stack>
  );
}
