import { Modal } from "@mantine/core";
import { type Project, useCreateProject } from "../api/projects";
import { ProjectForm } from "./ProjectForm";

interface CreateProjectProps {
  opened: boolean;
  onClose: () => void;
  onCreated: (project: Project) => void;
}

const EMPTY = { name: "", finetune_model: "", manual_scans: false };

export function CreateProject({ opened, onClose, onCreated }: CreateProjectProps) {
  const create = useCreateProject();
  return (
    <Modal
      opened={opened}
      onClose={onClose}
      onExitTransitionEnd={create.reset}
      title="Create a project"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      <ProjectForm
        initial={EMPTY}
        verb="Create"
        isPending={create.isPending}
        error={create.error}
        onClose={onClose}
        onSubmit={(body) =>
          create.mutate(body, {
            onSuccess: (project) => {
              onCreated(project);
              onClose();
            },
          })
        }
      />
    </Modal>
  );
}
