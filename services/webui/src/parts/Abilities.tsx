import { Badge, Group } from "@mantine/core";
import type { Model } from "../api/queries";

const ABILITIES = [
  ["supports_completion", "completion"],
  ["fim_family", "fill in the middle"],
  ["supports_chat", "chat"],
  ["supports_embeddings", "embeddings"],
  ["supports_finetune", "fine-tune"],
] as const;

/** What a model can be used for, and whether it is. */
export function Abilities({ model, deployed }: { model: Model; deployed: boolean }) {
  return (
    <Group gap={6}>
      {ABILITIES.filter(([field]) => model[field]).map(([field, word]) => (
        <Badge key={field} variant="default" tt="none" fw={500}>
          {word}
        </Badge>
      ))}
      {deployed && (
        <Badge variant="light" color="teal" tt="none">
          deployed
        </Badge>
      )}
    </Group>
  );
}
