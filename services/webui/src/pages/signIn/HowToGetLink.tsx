import { Stack, Text } from "@mantine/core";
import { CodeBlock } from "../../parts/CodeBlock";

export function HowToGetLink() {
  return (
    <>
      <Text>
        Hearth has no passwords. You sign in with a link that works once, within 15 minutes.
      </Text>
      <Stack gap={6}>
        <Text>On the machine that runs Hearth, in its folder, type</Text>
        <CodeBlock text="make admin-link" label="the command" />
        <Text>and open the link that it prints in this browser.</Text>
      </Stack>
      <Text size="sm" c="dimmed">
        No access to that machine? Ask the person who runs it to send you a link.
      </Text>
    </>
  );
}
