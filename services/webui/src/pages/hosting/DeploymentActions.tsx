import { ActionIcon, Button, Group, Menu, Text } from "@mantine/core";
import { IconAdjustments, IconDots, IconRefresh, IconTrash } from "@tabler/icons-react";
import { useRestartDeployment } from "../../api/deployments";
import type { Deployment } from "../../api/queries";
import { PhaseBadge } from "../../parts/PhaseBadge";

interface DeploymentActionsProps {
  deployment: Deployment;
  onChange: () => void;
  onDelete: () => void;
}

export function DeploymentActions({ deployment, onChange, onDelete }: DeploymentActionsProps) {
  const restart = useRestartDeployment();
  const { deployment_id, phase } = deployment;
  return (
    <>
      <Group gap="xs">
        <PhaseBadge phase={phase} />
        <Button
          variant="default"
          size="xs"
          leftSection={<IconAdjustments size={14} aria-hidden />}
          aria-label={`Change ${deployment_id}`}
          onClick={onChange}
        >
          Change
        </Button>
        <Menu position="bottom-end" width={180}>
          <Menu.Target>
            <ActionIcon
              variant="subtle"
              color="gray"
              loading={restart.isPending}
              aria-label={`More about ${deployment_id}`}
            >
              <IconDots size={18} />
            </ActionIcon>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Item
              leftSection={<IconRefresh size={16} aria-hidden />}
              onClick={() => restart.mutate(deployment_id)}
            >
              Restart
            </Menu.Item>
            <Menu.Item
              color="red"
              leftSection={<IconTrash size={16} aria-hidden />}
              onClick={onDelete}
            >
              Delete
            </Menu.Item>
          </Menu.Dropdown>
        </Menu>
      </Group>
      {restart.isError && (
        <Text size="sm" c="red" role="alert" mt={4}>
          {restart.error.message}
        </Text>
      )}
    </>
  );
}
