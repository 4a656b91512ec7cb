import { ActionIcon, Group, Menu, Select } from "@mantine/core";
import { IconDots, IconPlus, IconSettings, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import type { Project } from "../api/projects";
import { CreateProject } from "./CreateProject";
import { DeleteProject } from "./DeleteProject";
import { EditProject } from "./EditProject";

interface ProjectPickerProps {
  projects: Project[];
  project: Project;
  onChoose: (projectId: string) => void;
}

/** Chooses the project that a page is about, and makes, changes and deletes projects. */
export function ProjectPicker({ projects, project, onChoose }: ProjectPickerProps) {
  const [dialog, setDialog] = useState<"create" | "edit" | "delete" | null>(null);
  const close = () => setDialog(null);
  return (
    <Group gap="xs" wrap="nowrap">
      <Select
        aria-label="Project"
        data={projects.map(({ project_id, name }) => ({ value: project_id, label: name }))}
        value={project.project_id}
        allowDeselect={false}
        searchable={projects.length > 8}
        onChange={(value) => value && onChoose(value)}
        flex={1}
        maw={260}
      />
      <Menu position="bottom-end" width={200}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} aria-label="More about projects">
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={<IconPlus size={16} aria-hidden />}
            onClick={() => setDialog("create")}
          >
            New project
          </Menu.Item>
          <Menu.Item
            leftSection={<IconSettings size={16} aria-hidden />}
            onClick={() => setDialog("edit")}
          >
            Settings
          </Menu.Item>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={16} aria-hidden />}
            onClick={() => setDialog("delete")}
          >
            Delete project
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <CreateProject
        opened={dialog === "create"}
        onClose={close}
        onCreated={(created) => onChoose(created.project_id)}
      />
      <EditProject
        key={project.project_id}
        project={project}
        opened={dialog === "edit"}
        onClose={close}
      />
      <DeleteProject project={project} opened={dialog === "delete"} onClose={close} />
    </Group>
  );
}
