import { Button } from "@mantine/core";
import { IconFolderPlus } from "@tabler/icons-react";
import { useState } from "react";
import { EmptyState } from "../parts/EmptyState";
import { Surface } from "../parts/Surface";
import { CreateProject } from "./CreateProject";

export function NoProject({ onCreated }: { onCreated: (projectId: string) => void }) {
  const [opened, setOpened] = useState(false);
  return (
    <Surface>
      <EmptyState
        icon={<IconFolderPlus />}
        title="Begin with a project"
        action={
          <Button mt="sm" onClick={() => setOpened(true)}>
            Create project
          </Button>
        }
      >
        A project keeps code together with what is made of it: give it a name, then upload an
        archive of your code. Hearth scans it, and you can fine-tune a model on the result.
      </EmptyState>
      <CreateProject
        opened={opened}
        onClose={() => setOpened(false)}
        onCreated={(project) => onCreated(project.project_id)}
      />
    </Surface>
  );
}
