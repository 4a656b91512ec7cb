import { Stack, Text } from "@mantine/core";
import type { PromptMessage } from "../../api/toolbox";
import { filledInMessages } from "../../parts/prompt";
import classes from "./PromptPreview.module.css";

const EXAMPLE = {
  code: "def area(radius):\n    return 3.14 * radius * radius",
  file: "shapes/circle.py",
  line: 12,
  args: "(what was typed after the command)",
};

/** What the model would be told about a little example. */
export function PromptPreview({ messages }: { messages: PromptMessage[] }) {
  return (
    <Stack gap="sm" component="section" aria-label="Preview">
      <Text fw={600} size="sm">
        Preview, with two lines of an example selected
      </Text>
      {filledInMessages(messages, EXAMPLE).map(({ role, content }, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a message has nothing of its own but its place
        <div key={index}>
          <Text size="xs" c="dimmed" mb={4}>
            {role}
          </Text>
          <pre className={classes.text}>{content}</pre>
        </div>
      ))}
    </Stack>
  );
}
