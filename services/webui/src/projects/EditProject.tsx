import { Modal } from "@mantine/core";
import { type Project, useChangeProject } from "../api/projects";
import { ProjectForm } from "./ProjectForm";

interface EditProjectProps {
  project: Project;
  opened: boolean;
  onClose: () => void;
}

export function EditProject({ project, opened, onClose }: EditProjectProps) {
  const change = useChangeProject();
  const { name, finetune_model, manual_scans } = project;
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      onExitTransitionEnd={change.reset}
      title={`Settings of ${name}`}
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <ProjectForm
        initial={{ name, finetune_model, manual_scans }}
        verb="Save"
        isPending={change.isPending}
        error={change.error}
        onClose={onClose}
        onSubmit={(body) =>
          change.mutate({ projectId: project.project_id, ...body }, { onSuccess: onClose })
        }
      />
    </Modal>
  );
}
