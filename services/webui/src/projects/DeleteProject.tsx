import { Text } from "@mantine/core";
import { type Project, useDeleteProject } from "../api/projects";
import { Confirm } from "../parts/Confirm";

interface DeleteProjectProps {
  project: Project;
  opened: boolean;
  onClose: () => void;
}

export function DeleteProject({ project, opened, onClose }: DeleteProjectProps) {
  const remove = useDeleteProject();
  return (
    <Confirm
      opened={opened}
      title={`Delete ${project.name}?`}
      verb="Delete"
      keep="Keep it"
      failure="It was not deleted"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate(project.project_id, { onSuccess: onClose })}
      onClose={onClose}
      onClosed={remove.reset}
    >
      <Text>
        Its sources, scans and datasets go with it and can not be brought back. Hearth refuses while
        a fine-tune runs on it or an adapter was made of it.
      </Text>
    </Confirm>
  );
}
