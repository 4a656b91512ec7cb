import { Button } from "@mantine/core";
import { IconArrowLeft } from "@tabler/icons-react";
import { Link } from "wouter";

export function BackToRuns({ projectId }: { projectId: string }) {
  return (
    <Button
      component={Link}
      href={`/finetune?project=${projectId}`}
      variant="subtle"
      color="gray"
      size="xs"
      px={8}
      ml={-8}
      style={{ alignSelf: "flex-start" }}
      leftSection={<IconArrowLeft size={16} aria-hidden />}
    >
      All fine-tunes
    </Button>
  );
}
