import { Stack } from "@mantine/core";
import { CodeBlock } from "../../parts/CodeBlock";
import { blocksOf } from "./blocks";

/** What a model said, with its code as code. */
export function Answer({ text }: { text: string }) {
  return (
    <Stack gap="xs">
      {blocksOf(text).map((block, index) =>
        block.isCode ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks are only ever added at the end
          <CodeBlock key={index} text={block.text} label="this code" />
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: blocks are only ever added at the end
          <div key={index}>{block.text}</div>
        ),
      )}
    </Stack>
  );
}
